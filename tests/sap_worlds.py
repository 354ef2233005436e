"""A SAP system for tests: the simulated one by name, and a small one in memory behind the stand-in for pyrfc."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import lpmkit.simulator
from lpmkit.sap.rfc import Refused
from lpmkit.sap.soaprfc import SoapCaller
from lpmkit.sap.system import System, open_system
from lpmkit.settings.sap import SapCommands, SapRfc, SapSoapRfc, SapSystemSettings, SapWebService
from lpmkit.simulator import Simulator
from lpmkit.ssh.client import route
from lpmkit.ssh.secrets import Secrets

PASSWORD = "Planted-0815-geheim"
STANDIN = Path(__file__).parent / "standin"
LANDSCAPES = Path(lpmkit.simulator.__file__).parent / "landscapes"


@contextmanager
def standin() -> Iterator[Any]:
    """The stand-in as ``pyrfc``, for as long as the block lasts."""
    sys.path.insert(0, str(STANDIN))
    try:
        module: Any = importlib.import_module("pyrfc")
        yield module
        module.BACKEND = None
    finally:
        sys.path.remove(str(STANDIN))
        sys.modules.pop("pyrfc", None)


@dataclass
class Memory:
    """A system in memory: tables, work processes, the job interface.

    It answers as the contract of the reference has it.
    """

    jobs: list[dict[str, Any]] = field(default_factory=list)
    work_processes: list[dict[str, Any]] = field(default_factory=list)
    versions: tuple[str, ...] = ("1.0", "2.0")
    table_order: bool = True  #: columns come in the table's own order
    german: bool = False
    logged_on: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    trouble: BaseException | None = None

    #: TBTCO as far as it goes: name, width, in the table's own order.
    COLUMNS: ClassVar[dict[str, int]] = {
        "JOBNAME": 32,
        "JOBCOUNT": 8,
        "SDLSTRTDT": 8,
        "SDLSTRTTM": 6,
        "SDLUNAME": 12,
        "PERIODIC": 1,
        "STEPCOUNT": 10,
        "STRTDATE": 8,
        "STRTTIME": 6,
        "ENDDATE": 8,
        "ENDTIME": 6,
        "STATUS": 1,
        "WPNUMBER": 3,
        "WPPROCID": 10,
        "REAXSERVER": 20,
        "AUTHCKMAN": 3,
        "EVENTPARM": 480,
    }

    def __call__(self, conversation: str, language: str, function: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
        self.calls.append(function)
        trouble, self.trouble = self.trouble, None
        if trouble is not None:
            raise trouble
        answer = getattr(self, function.lower(), None)
        if answer is None:
            raise sys.modules["pyrfc"].ABAPApplicationError(f"ID:FL Type:E Number:046 {function}", key="FU_NOT_FOUND")
        found: Mapping[str, Any] = answer(conversation, language, given)
        return found

    def rfc_ping(self, conversation: str, language: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
        return {}

    def th_server_list(self, conversation: str, language: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"LIST": [{"NAME": "bxaix85_BX5_00", "HOST": "bxaix85"}]}

    def th_wpinfo(self, conversation: str, language: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
        words = {"Waiting": "wartet", "Running": "läuft"} if language != "EN" or self.german else {}
        rows = [{**row, "WP_STATUS": words.get(row["WP_STATUS"], row["WP_STATUS"])} for row in self.work_processes]
        return {"WPLIST": rows}

    def sxmi_versions_get(self, conversation: str, language: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"VERSIONS": [{"INTERFACE": "XBP", "VERSION": version} for version in self.versions]}

    def bapi_xmi_logon(self, conversation: str, language: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
        if given["VERSION"] not in self.versions:
            return {"RETURN": {"TYPE": "E", "ID": "XM", "MESSAGE": "MSG_CANT_LOG"}}
        self.logged_on.add(conversation)
        return {"SESSIONID": "1", "RETURN": {"TYPE": "", "ID": "", "MESSAGE": ""}}

    def bapi_xbp_job_select(self, conversation: str, language: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
        if conversation not in self.logged_on:
            return {"RETURN": {"TYPE": "E", "ID": "XM", "MESSAGE": "MSG_NOT_LOGGED_ON"}}
        wanted = given["JOB_SELECT_PARAM"]
        assert wanted["JOBNAME"] == wanted["USERNAME"] == "*"
        flags = {"P": "PRELIM", "S": "SCHEDUL", "Y": "READY", "R": "RUNNING", "F": "FINISHED", "A": "ABORTED"}
        rows = [row for row in self.jobs if wanted[flags[row["STATUS"]]] == "X"]
        if not rows:
            return {"RETURN": {"TYPE": "E", "ID": "XM", "MESSAGE": "MSG_NO_JOBS_FOUND"}, "JOB_HEAD": []}
        # the interface does not tell where a job runs
        heads = [{name: value for name, value in row.items() if not name.startswith("WP")} for row in rows]
        return {"RETURN": {"TYPE": ""}, "JOB_HEAD": heads, "SELECTED_JOBS": []}

    def rfc_read_table(self, conversation: str, language: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
        pyrfc = sys.modules["pyrfc"]
        if given["QUERY_TABLE"] != "TBTCO":
            raise pyrfc.ABAPApplicationError("not active", key="TABLE_NOT_AVAILABLE")
        assert all(len(line["TEXT"]) <= 72 for line in given["OPTIONS"])
        asked = [field["FIELDNAME"] for field in given["FIELDS"]] or list(self.COLUMNS)
        if not set(asked) <= set(self.COLUMNS):
            raise pyrfc.ABAPApplicationError("unknown field", key="FIELD_NOT_VALID")
        names = [name for name in self.COLUMNS if name in asked] if self.table_order else asked
        if sum(self.COLUMNS[name] for name in names) > 512:
            raise pyrfc.ABAPApplicationError("row too long", key="DATA_BUFFER_EXCEEDED")
        fields, offset = [], 0
        for name in names:
            fields.append({"FIELDNAME": name, "OFFSET": f"{offset:06}", "LENGTH": f"{self.COLUMNS[name]:06}"})
            offset += self.COLUMNS[name]
        where = " ".join(line["TEXT"] for line in given["OPTIONS"])
        rows = [row for row in self.jobs if _may_be_meant(row, where)]
        data = [{"WA": "".join(str(row.get(n, "")).ljust(self.COLUMNS[n]) for n in names).rstrip()} for row in rows]
        return {"FIELDS": fields, "DATA": data}


def _may_be_meant(row: Mapping[str, Any], where: str) -> bool:
    """The clause is the caller's business; only whether it asks for the row's status is looked at here."""
    return f"STATUS = '{row['STATUS']}'" in where or (row["STATUS"] in "FA" and "ENDDATE" in where)


def job(
    name: str, status: str, *, pid: int = 0, started: datetime, lasts_s: float | None = None, user: str = "BATCHUSR"
) -> dict[str, Any]:
    """A row of TBTCO."""
    ended = started + timedelta(seconds=lasts_s) if lasts_s is not None else None
    return {
        "JOBNAME": name,
        "JOBCOUNT": f"{started:%H%M%S}01",
        "SDLSTRTDT": f"{started:%Y%m%d}",
        "SDLSTRTTM": f"{started:%H%M%S}",
        "SDLUNAME": user,
        "PERIODIC": "",
        "STEPCOUNT": "1",
        "STRTDATE": f"{started:%Y%m%d}",
        "STRTTIME": f"{started:%H%M%S}",
        "ENDDATE": f"{ended:%Y%m%d}" if ended else "00000000",
        "ENDTIME": f"{ended:%H%M%S}" if ended else "000000",
        "STATUS": status,
        "WPNUMBER": "009" if status == "R" else "",
        "WPPROCID": str(pid or ""),
        "REAXSERVER": "bxaix85_BX5_00",
        "AUTHCKMAN": "100",
    }


def worker(number: int, pid: int, *, program: str = "", user: str = "", cpu: str = "0:10") -> dict[str, Any]:
    """A row of WPLIST: a background work process, at work when it has a program."""
    return {
        "WP_NO": str(number),
        "WP_TYP": "BGD",
        "WP_PID": str(pid),
        "WP_ISTATUS": 4 if program else 2,
        "WP_STATUS": "Running" if program else "Waiting",
        "WP_RESTART": "Yes",
        "WP_DUMPS": "",
        "WP_CPU": cpu,
        "WP_MANDT": "100" if program else "",
        "WP_BNAME": user,
        "WP_REPORT": program,
    }


#: The ways of the four-way test: what the site file would say.
WAYS = ("webservice", "commands", "rfc", "soap_rfc")


def simulated(
    simulator: Simulator,
    way: str,
    *,
    partition: str = "p7aix01",
    sid: str = "P7D",
    numbers: tuple[str, ...] = ("00", "01"),
    **more: Any,
) -> System:
    """The SAP system of a simulated partition, seen through one way only."""
    address = route(partition, simulator.ssh_config).hostname
    ports = simulator.hosts[partition].ports
    secret = "env:LPM_SIMULATOR_SAP_PASSWORD"
    starting = {numbers[0]: ports.get("start_service", 0)}
    if len(numbers) > 1:
        starting[numbers[1]] = ports.get("start_service_central", 0)
    ways: dict[str, Any] = {
        "webservice": SapWebService(
            host=address, user=f"{sid.lower()}adm", password=secret, ports=starting, timeout_s=5.0
        ),
        "commands": SapCommands(host=f"{sid.lower()}adm@{partition}", timeout_s=10.0),
        "rfc": SapRfc(host=address, client="100", user="LPMKIT", password=secret),
        "soap_rfc": SapSoapRfc(url=f"http://{address}:{ports['http']}", client="100", user="LPMKIT", password=secret),
    }
    chosen = {name: ways[name] for name in way.split("+")}
    settings = SapSystemSettings(partition=partition, instances=numbers, requests_per_minute=6000, **chosen, **more)
    return open_system(sid, settings, host=partition, ssh_config=simulator.ssh_config, secrets=Secrets())


def over_soap(simulator: Simulator, partition: str = "p7aix01") -> Any:
    """A back end for the stand-in: the simulated system itself, which speaks no RFC; what the stand-in does to a
    caller stays the stand-in's.
    """
    address = route(partition, simulator.ssh_config).hostname
    url = f"http://{address}:{simulator.hosts[partition].ports['http']}"
    caller = SoapCaller(url, client="100", user="LPMKIT", password=PASSWORD)

    def answer(conversation: str, language: str, function: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            return caller.call(function, **given)
        except Refused as error:
            raise sys.modules["pyrfc"].ABAPApplicationError(str(error), key=error.key) from None

    return answer
