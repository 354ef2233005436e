"""The work of the simulated system: its users, their transactions, its background jobs.

Data, and how a job's life is laid out.

Times are seconds from the start of the simulation, negative for what lies behind it; ``steps_s`` is how long each step
works, counted only while the partition runs.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class JobPlan:
    """A background job before it is one.

    ``fate`` is how it ends: ``F`` or, for reasons of its own, ``A``; ``""`` is not within sight.

    ``every_s`` repeats it: the next one is scheduled when one starts, as a periodic job is.
    """

    name: str
    program: str
    user: str
    start_s: float | None
    steps_s: tuple[float, ...] = (60.0,)
    fate: str = "F"
    every_s: float = 0.0
    job_class: str = "C"
    table: str = ""
    objects: int = 0
    event: str = ""
    status: str = ""
    why: str = ""


#: Twenty-five of them: behind us, at work, ahead, and never released.
JOBS: tuple[JobPlan, ...] = (
    # done, or failed for reasons that have nothing to do with a move
    JobPlan("SAP_REORG_JOBS", "RSBTCDEL", "DDIC", -9000, (74,)),
    JobPlan("SAP_REORG_ABAPDUMPS", "RSSNAPDL", "DDIC", -8400, (12,)),
    JobPlan("SAP_REORG_SPOOL", "RSPO0041", "DDIC", -7800, (95,)),
    JobPlan("FI_DUNNING_RUN_0100", "SAPF150S2", "FIBATCH", -5400, (410, 88)),
    JobPlan("MM_IV_GR_MAINTAIN", "RM07MMFI", "MMBATCH", -3600, (233,)),
    JobPlan("Z_EDI_OUT_FTP", "ZEDI_OUT_FTP", "EDIBATCH", -2700, (41,), "A", why="RAISE_EXCEPTION"),
    JobPlan("Z_PRICE_UPLOAD", "ZSD_PRICE_UPLOAD", "SDBATCH", -1500, (12,), "A", why="CONVT_NO_NUMBER"),
    # at work for a long time, and still when everything is over
    JobPlan("MRP_RUN_PLANT_1000", "RMMRP000", "PPBATCH", -2520, (14400,), "", table="MDKP", objects=86000,
            job_class="A"),
    JobPlan("CO_ACTUAL_SETTLEMENT", "RKO7KO8G", "COBATCH", -1980, (600, 5400, 1800), "", table="COEP", objects=4100,
            job_class="B"),
    JobPlan("FI_SAPF124_CLEARING", "SAPF124", "FIBATCH", -1260, (7200,), "", table="BSIS", objects=52000),
    JobPlan("SD_BILLING_VF06", "SDBILLDL", "SDBATCH", -840, (3600,), "", table="VBRK", objects=12500, job_class="A"),
    JobPlan("Z_IDOC_ARCHIVE", "RSEXARCA", "ALEREMOTE", -600, (9000,), "", table="EDIDC", objects=250000),
    # at work, and done within minutes
    JobPlan("WM_TRANSFER_ORDERS", "RLLT2100", "WMBATCH", -90, (120,), table="LTAK", objects=640),
    JobPlan("PM_DEADLINE_MONITOR", "RISTRA20", "PMBATCH", -45, (75, 40), table="MPLA", objects=210),
    # starts while somebody may be looking
    JobPlan("SAP_COLLECTOR_FOR_PERFMONITOR", "RSCOLL00", "DDIC", 20, (18,), every_s=3600),
    JobPlan("Z_STOCK_INTERFACE", "ZMM_STOCK_OUT", "EDIBATCH", 8, (7,), every_s=15, objects=60, table="MARD"),
    JobPlan("Z_ORDER_IMPORT", "ZSD_ORDER_IN", "SDBATCH", 13, (16,), every_s=30, objects=140, table="VBAK"),
    JobPlan("RSWWDHEX", "RSWWDHEX", "WF-BATCH", 35, (6,), every_s=60),
    JobPlan("FI_PAYMENT_PROPOSAL", "SAPF110S", "FIBATCH", 50, (240,), table="REGUH", objects=900, job_class="A"),
    JobPlan("SD_DELIVERY_DUE_LIST", "RVV50R10C", "SDBATCH", 85, (300,), table="LIKP", objects=1800),
    JobPlan("HR_TIME_EVALUATION", "RPTIME00", "HRBATCH", 130, (900,), table="PCL2", objects=5200),
    # later, at an event, or never released
    JobPlan("EU_PUT", "SAPRSLOG", "DDIC", 5400, (40,), every_s=86400),
    JobPlan("RDDIMPDP", "RDDIMPDP", "DDIC", None, (2,), event="SAP_TRIGGER_RDDIMPDP", job_class="A"),
    JobPlan("Z_MONTH_END_FI", "ZFI_MONTH_END", "FIBATCH", None, (7200,), status="P"),
    JobPlan("Z_TEST_COPY_CLIENT", "ZBC_CLIENT_COPY", "BASIS01", None, (600,), status="P"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class UserPlan:
    """A person at a screen: where, doing what, and what that locks."""

    name: str
    transaction: str
    program: str
    terminal: str
    address: str
    sessions: int = 1
    locks: tuple[str, str] = ("", "")
    object: str = ""


USERS: tuple[UserPlan, ...] = (
    UserPlan("MEIERH", "VA02", "SAPMV45A", "PCSD0012", "192.0.2.112", 2, ("VBAK", "100 0000048213"), "EVVBAKE"),
    UserPlan("SCHULZK", "VA01", "SAPMV45A", "PCSD0015", "192.0.2.115"),
    UserPlan("WAGNERT", "MIGO", "SAPLMIGO", "PCWM0031", "192.0.2.131", 1, ("MARC", "100 RAW-4711  1000"), "EMMARCE"),
    UserPlan("BECKERA", "FB01", "SAPMF05A", "PCFI0002", "192.0.2.142", 3),
    UserPlan("HOFFMANP", "FB02", "SAPMF05A", "PCFI0007", "192.0.2.147", 1, ("BKPF", "100 10000100004217 2008"),
             "EFBKPF"),
    UserPlan("KOCHS", "ME21N", "SAPLMEGUI", "PCMM0020", "192.0.2.120"),
    UserPlan("RICHTERM", "ME22N", "SAPLMEGUI", "PCMM0021", "192.0.2.121", 1, ("EKKO", "100 4500017311"), "EMEKKOE"),
    UserPlan("KLEINJ", "CO02", "SAPLCOKO", "PCPP0009", "192.0.2.159", 1, ("AUFK", "100 000001004512"), "ESORDER"),
    UserPlan("WOLFD", "MD04", "SAPMM61R", "PCPP0010", "192.0.2.160"),
    UserPlan("NEUMANNC", "PA30", "MP000000", "PCHR0003", "192.0.2.173", 1, ("PREL", "100 00001044"), "EPPRELE"),
    UserPlan("ZIMMERB", "LT12", "SAPML03T", "SCAN0044", "192.0.2.184"),
    UserPlan("BRAUNF", "LT12", "SAPML03T", "SCAN0045", "192.0.2.185"),
    UserPlan("KRUEGERO", "SM37", "SAPLBTCH", "PCBC0001", "192.0.2.101", 2),
    UserPlan("HARTMANNE", "SE16", "/1BCDWB/DBVBAP", "PCBC0004", "192.0.2.104"),
)  # fmt: skip
