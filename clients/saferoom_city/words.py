"""What names are made of: a province, a city, its districts and its people, none of which exist.

The region codes begin with 99, which GB/T 2260 gives to no province. Characters of trade names are
joined by the firm's number, so that no two firms share a name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PROVINCE: Final = "澜川省"
CITY: Final = "鹭原市"


@dataclass(frozen=True, slots=True)
class District:
    """A district of the city.

    Attributes:
        code: its region, which no place has.
        streets: its roads.
    """

    code: str
    zh: str
    streets: tuple[str, ...]
    rural: bool = False


DISTRICTS: Final = (
    District("990102", "鹭东区", ("望鹭路", "青萍街", "澜东大道", "槐荫路", "三桥街")),
    District("990103", "鹭西区", ("西渡口街", "苇塘路", "机电路", "澜西大道", "纺工街")),
    District("990104", "澜北区", ("北仓路", "站北街", "砚台街", "澜北大道", "货场路")),
    District("990105", "云渡新区", ("云渡大道", "创新一路", "创新二路", "银杏街", "软件园路")),
    District("990121", "桐溪县", ("桐溪大街", "老街", "茶场路", "振兴路"), rural=True),
    District("990122", "石湾岭县", ("矿山路", "石湾街", "岭南路", "水泥厂路"), rural=True),
    District("990123", "青苇县", ("青苇大街", "渔港路", "粮站路", "文化街"), rural=True),
    District("990181", "槐陂市", ("槐陂大道", "陶瓷街", "工业路", "建业街"), rural=True),
)

FIRST: Final = (
    "安百邦宝昌畅辰诚驰楚创春达大德鼎东敦恩发凡方飞丰枫福富刚格冠光广贵国海汉航豪浩和恒宏"
    "弘鸿华辉汇惠吉佳嘉坚建江杰金锦晋京晶景久巨君俊骏开凯康科昆兰朗利力联良林岭隆鲁美明铭"
    "南宁诺鹏普齐启强勤庆全泉仁荣瑞润森山善尚盛胜世首舒硕思松泰腾天田通同万旺威维文五西祥"
    "信兴雄旭亚阳耀一怡益银英永友裕元源远跃云泽展章兆振正志中众舟卓"
)
SECOND: Final = (
    "安博昌辰成川创达道德鼎东尔发帆丰峰福港格固光广国海航合和恒宏华辉汇吉佳嘉建江捷晶景聚"
    "凯康科来兰朗蓝力立利联隆路铭诺鹏普谦勤庆泉然仁荣瑞森山盛石思顺松泰特腾天通万威维翔祥"
    "欣信兴旭雅阳业亿益盈优宇裕源远岳跃云运泽展正智众卓"
)
THIRD: Final = "新润程诚嘉禾景悦锦帆晟启铂澄沐朴砺湛翊"
"""A third character, for firms beyond the pairs of the first two."""

SURNAMES: Final = (
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢"
    "蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟"
)
GIVEN: Final = (
    "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰建国志海波宁飞云红梅春燕晓东辉玲鑫"
    "宇浩文博思远佳怡雪梦琪子涵立新永庆德胜长发少峰栋凤琴淑珍"
)

BANKS: Final = (
    "鹭原农村商业银行股份有限公司",
    "澜川银行股份有限公司鹭原分行",
    "鹭原云渡村镇银行股份有限公司",
    "澜川城市信用社鹭东联社",
)
COURTS: Final = tuple(f"{each.zh}人民法院" for each in DISTRICTS)
