"""What a receipt's page says, in both languages of the room."""

from __future__ import annotations

from typing import Final

from saferoom_client.tongue import Language, say_in
from saferoom_proto.answer import Band, Told
from saferoom_proto.reasons import CATALOGUE, Reason
from saferoom_proto.shares import Share
from saferoom_proto.statements import Purpose, Title


def in_language(title: Title, language: Language) -> str:
    """Give a title's text in a language."""
    return title.zh if language is Language.ZH else title.en


def say(key: str, language: Language) -> str:
    """Give the page's own words for a key."""
    english, chinese = _WORDS[key]
    return chinese if language is Language.ZH else english


def purpose(value: Purpose, language: Language) -> str:
    """Name a purpose."""
    return f"{say(f'purpose {value}', language)} ({value})"


def answer(value: Told | None, language: Language) -> str:
    """Name an answer; none is a refusal."""
    if isinstance(value, Band):
        return say("answer band", language).format(number=value.number)
    if isinstance(value, Share):
        return say("share", language)
    return say("refused" if value is None else f"answer {value}", language)


def reason(value: Reason, language: Language) -> str:
    """Say why an enclave refused: the reason's own code, and its words."""
    return f"{value}: {say_in(language, CATALOGUE[value].what)}"


def level(value: int, language: Language) -> str:
    """Name a level of sensitivity (JR/T 0197)."""
    return f"{value}, {say(f'level {value}', language)}"


_WORDS: Final[dict[str, tuple[str, str]]] = {
    "title": ("Receipt of a check", "核验回执"),
    "lead": (
        (
            "Everything on this page was verified from a receipt file before the page was "
            "written. The file is the "
            "proof; this page only shows what it says. How to verify the file is told at the end."
        ),
        "本页所载内容均已依据回执文件验证后生成。回执文件是证据, 本页仅为其展示; 验证方法见页末。",
    ),
    "answer yes": ("Yes", "是"),
    "answer no": ("No", "否"),
    "answer not_found": ("Not found", "查无"),
    "blind": (
        "blind: the asker chose what was tested; nobody else can tell what it was",
        "盲匹配: 所验内容由查询方自选、他方均无从得知",
    ),
    "a share": (
        "its share of a yes or no over all owners together",
        "各数源单位合并后的是或否答复中的一份",
    ),
    "a share of a band": (
        "its share of the number of a band over all owners together",
        "各数源单位合并后档位序号中的一份",
    ),
    "share": (
        "Its share of the answer, which tells nothing alone",
        "答复的一份: 单独看不出任何内容",
    ),
    "answer band": ("Band {number}", "第 {number} 档"),
    "raised most by": (
        "the odds of the event are raised most by {features}",
        "最使事件几率升高的指标: {features}",
    ),
    "refused": ("Refused", "拒绝"),
    "question": ("What was asked", "提问内容"),
    "institution": ("Asked by", "提问机构"),
    "subject": ("About", "查询主体"),
    "purpose": ("For", "用途"),
    "params": ("With", "参数"),
    "window": ("Valid", "有效时段"),
    "batch": ("In a batch", "所属批次"),
    "batch line": ("row {row:,} of {rows:,}", "第 {row:,} 行, 共 {rows:,} 行"),
    "request id": ("Request id", "请求编号"),
    "request key": ("Signed with the key", "签名密钥"),
    "purpose pre-loan": ("review before a loan", "贷前审查"),
    "purpose in-loan": ("review during a loan", "贷中审查"),
    "purpose post-loan": ("monitoring after a loan", "贷后监测"),
    "purpose product-design": ("product design", "产品设计"),
    "purpose supervision": ("supervision", "监管"),
    "template": ("The template", "作业模板"),
    "name": ("Name", "名称"),
    "formula": ("Formula", "公式"),
    "score": (
        "the score of the model {model}",
        "模型 {model} 的评分",
    ),
    "score part": (
        "a band of the model {model}: the bands end at {edges}, in log-odds of the event",
        "模型 {model} 的档位, 各档以 {edges} (事件的对数几率) 为界",
    ),
    "a band": ("the number of a band", "档位序号"),
    "a band, or not found": ("the number of a band, or not found", "档位序号或查无"),
    "proposer": ("Proposed by", "提出机构"),
    "purposes": ("Serves", "适用用途"),
    "template digest": ("Template", "模板摘要"),
    "certificate digest": ("Release certificate", "输出证书摘要"),
    "owner": ("Data owner", "数源单位"),
    "part formula": ("Its part", "本单位部分"),
    "what leaves": ("What leaves", "输出内容"),
    "yes or no": ("yes or no", "是或否"),
    "yes, no, or not found": ("yes, no, or not found", "是、否或查无"),
    "at most": ("at most {bits:.2f} bits", "至多 {bits:.2f} 比特"),
    "feature": ("Feature used", "所用指标"),
    "level 1": ("public by law", "依法公开"),
    "level 2": ("not secret", "非涉密"),
    "level 3": ("commercial secret", "商业秘密"),
    "level 4": ("identifiers and record-level detail", "标识与明细"),
    "feature line": (
        "{name}: {title}; level {level}; as of {as_of}; version {version}",
        "{name}: {title}; 级别 {level}; 数据截至 {as_of}; 第 {version} 版",
    ),
    "said": ("The enclave's word", "隔离区答复"),
    "time": ("At", "时间"),
    "charge": ("Charged", "信息量计费"),
    "charge line": (
        (
            "{feature}: from {before} to {after} cells told apart, {bits_before:.2f} to "
            "{bits_after:.2f} bits"
        ),
        (
            "{feature}: 可区分单元由 {before} 增至 {after}, 即 {bits_before:.2f} 至 {bits_after"
            ":.2f} 比特"
        ),
    ),
    "nothing charged": ("nothing", "无"),
    "approvals": ("Approved by", "审批人"),
    "approval line": ("{approver}, {at}", "{approver}, {at}"),
    "of needed": ("{count} of the {needed} needed", "共 {count} 人, 须 {needed} 人"),
    "charter": ("Charter", "章程"),
    "charter line": ("version {version}, {digest}", "第 {version} 版, {digest}"),
    "agreement": ("Agreement", "数据共享协议"),
    "agreement line": (
        "from {valid_from} to {valid_to}, for {purposes}; charged to the group {group}",
        "自 {valid_from} 至 {valid_to}, 用途 {purposes}; 计入机构组 {group}",
    ),
    "consent": ("The subject's consent", "主体授权"),
    "no consent needed": ("not needed: public by law", "无需授权: 依法公开"),
    "consent line": (
        "from {valid_from} to {valid_to}, for {purposes}, about {features}",
        "自 {valid_from} 至 {valid_to}, 用途 {purposes}, 范围 {features}",
    ),
    "consent by subject": ("signed by the subject itself", "由主体本人签署"),
    "consent on paper": (
        "on paper, registered by {registrar}; scan {scan}",
        "纸质授权, 由 {registrar} 登记; 扫描件 {scan}",
    ),
    "notice": ("Risk notice shown", "所示风险告知"),
    "store": ("Store answered from", "数据快照"),
    "store line": ("period {epoch}, {digest}", "第 {epoch} 期, {digest}"),
    "no store": ("none", "无"),
    "stream": ("Statements followed", "所循声明"),
    "stream line": ("up to number {sequence}, {running}", "至第 {sequence} 号, {running}"),
    "evidence": ("Evidence of the enclave", "隔离区证明"),
    "evidence software": (
        "software: shows which keys speak for the owner, not by hardware what runs",
        "软件证明: 表明何密钥代表数源单位, 并非由硬件证明所运行之程序",
    ),
    "evidence other": ("hardware: {kind}", "硬件证明: {kind}"),
    "code": ("Code", "程序摘要"),
    "dependencies": ("Libraries", "依赖摘要"),
    "sandbox": ("Sandbox level", "沙箱级别"),
    "endorsement": ("Endorsed by the owner's key agent", "密钥代理背书"),
    "commitment": ("Commitment to the answer", "答复承诺"),
    "chain": ("Place in the enclave's own chain", "隔离区链上位置"),
    "log": ("Place in the room's log", "存证日志位置"),
    "log line": (
        "entry {index} of {size}; root {root}",
        "第 {index} 条, 日志共 {size} 条; 根 {root}",
    ),
    "proof": ("Proof of it", "存证证明"),
    "verification": ("How to verify it", "验证方法"),
    "verify steps": (
        (
            "Keep the receipt file. At any member of the room, or at an auditor who holds the "
            "keys below in a file "
            "trust.json, run one of the commands. Nothing is asked of the room and no network "
            "is needed."
        ),
        (
            "请保存回执文件。任一成员, 或持有下列公钥文件 trust.json 的审计人员, 均可运行以下任"
            "一命令验证; 无须联网, 亦无须询问安全屋。"
        ),
    ),
    "command": ("Command", "命令"),
    "file digest": ("SHA-256 of the receipt file", "回执文件 SHA-256"),
    "origin": ("Room", "安全屋"),
    "ledger key": ("Key of the log", "日志公钥"),
    "root": ("Charter root of {owner}", "{owner} 章程根公钥"),
    "what was verified": ("What was verified", "已验证事项"),
    "checked answer": (
        (
            "charters under their pinned roots; the enclaves' keys under the charters; the "
            "question's signature under the "
            "agreements; the template's certificate, derived anew; approvals; consents; each "
            "enclave's word; its place in the log; "
            "the answer under its commitment"
        ),
        (
            "章程之于所固定的根; 隔离区密钥之于章程; 提问签名之于协议; 重新推导的输出证书; 审批"
            "; 授权; 各隔离区之答复; 日志位置; 答复之于承诺"
        ),
    ),
    "checked refusal": (
        (
            "charters under their pinned roots; the enclaves' keys under the charters; the "
            "question's signature under the "
            "agreements; the template's certificate, derived anew; each enclave's word; its "
            "place in the log"
        ),
        (
            "章程之于所固定的根; 隔离区密钥之于章程; 提问签名之于协议; 重新推导的输出证书; 各隔"
            "离区之答复; 日志位置"
        ),
    ),
    "none": ("none", "无"),
}
