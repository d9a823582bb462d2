"""The trades of the city: what firms do, how large they are, and how their year goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

EVEN: Final = (98, 80, 101, 102, 103, 101, 101, 101, 102, 102, 103, 106)
HEATING: Final = (125, 105, 105, 95, 90, 92, 100, 102, 94, 90, 98, 104)
HARVEST: Final = (60, 60, 80, 90, 100, 130, 110, 110, 150, 140, 100, 70)
BUILDING: Final = (60, 50, 95, 110, 120, 115, 100, 100, 115, 120, 115, 100)
FEASTS: Final = (120, 130, 85, 90, 105, 90, 95, 95, 105, 115, 85, 85)
"""What of a hundredth of a month's mean falls into each month, January first."""


@dataclass(frozen=True, slots=True)
class Trade:
    """A trade.

    Attributes:
        code: its class of GB/T 4754.
        word: what it is called in names of firms.
        scope: what such firms are licensed to do.
        share: how many of a thousand firms are of it.
        staff: of the typical firm.
        turnover: yearly and of each of its staff, in yuan.
        season: its year.
        power: its bill for electricity, in thousandths of turnover; so for water and gas.
        outlets: it discharges something, and is rated for it.
        high: it does research: patents, software, high-tech enterprises.
    """

    code: str
    word: str
    scope: str
    share: int
    staff: int
    turnover: int
    season: tuple[int, ...] = EVEN
    power: int = 8
    water: int = 1
    gas: int = 0
    outlets: bool = False
    high: bool = False


FARM: Final = Trade(
    "A0141", "种植", "蔬菜种植;谷物种植;农产品初加工", 50, 7, 110_000, HARVEST, 12, 4
)
TRADES: Final = (
    FARM,
    Trade("A0313", "养殖", "牲畜饲养;饲料销售", 30, 8, 160_000, HARVEST, 14, 6),
    Trade("B0610", "矿产", "煤炭洗选;矿产品销售", 10, 45, 700_000, HEATING, 30, 5, outlets=True),
    Trade("C1411", "食品", "食品生产;食品销售", 45, 16, 320_000, FEASTS, 18, 5, 9, outlets=True),
    Trade("C1819", "服装", "服装制造;针纺织品销售", 40, 22, 210_000, EVEN, 11, 2),
    Trade("C2110", "家具", "家具制造;木材加工", 35, 14, 260_000, BUILDING, 13, 1, outlets=True),
    Trade("C2929", "塑业", "塑料制品制造", 40, 18, 430_000, EVEN, 32, 3, outlets=True),
    Trade("C3031", "建材", "建筑材料制造", 45, 20, 480_000, BUILDING, 28, 4, 12, outlets=True),
    Trade("C3311", "金属", "金属结构制造", 55, 19, 450_000, EVEN, 24, 2, 4, outlets=True),
    Trade("C3484", "机械", "机械零部件加工", 60, 21, 420_000, EVEN, 20, 2, high=True),
    Trade("C3989", "电子", "电子元器件制造", 30, 32, 520_000, EVEN, 16, 2, high=True),
    Trade("E4710", "建设", "房屋建筑工程施工", 60, 28, 560_000, BUILDING, 4, 2),
    Trade("E5010", "装饰", "建筑装饰工程施工", 45, 10, 340_000, BUILDING, 4, 1),
    Trade("F5127", "粮油", "粮食收购;食用农产品批发", 40, 7, 900_000, HARVEST, 3, 1),
    Trade("F5165", "商贸", "建筑材料销售;五金产品批发", 110, 6, 820_000, BUILDING, 3, 1),
    Trade("F5212", "超市", "食品销售;日用百货销售", 70, 9, 380_000, FEASTS, 13, 2),
    Trade("G5431", "物流", "道路货物运输", 55, 13, 400_000, EVEN, 3, 1, 2),
    Trade("H6210", "餐饮", "餐饮服务", 65, 11, 150_000, FEASTS, 22, 9, 28),
    Trade("I6513", "软件", "软件开发;信息技术咨询服务", 35, 17, 360_000, EVEN, 4, 1, high=True),
    Trade("L7299", "商务", "商务信息咨询;会议服务", 45, 7, 260_000, EVEN, 3, 1),
    Trade("M7320", "科技", "工程技术研究和试验发展", 25, 15, 340_000, EVEN, 5, 1, high=True),
    Trade("O8111", "汽修", "机动车修理和维护", 30, 8, 220_000, EVEN, 9, 3),
)
BY_LOT: Final = tuple(trade for trade in TRADES for _ in range(trade.share))
"""Each trade as often as its share says."""
