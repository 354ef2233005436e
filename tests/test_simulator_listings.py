"""The output of the machines: the key facts of every listing, its streams and its status, over the OpenSSH client."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator

import pytest

from lpmkit.simulator import Simulator
from tests.simulator_cases import FAST, Answer, ssh

#: Asks a command line of a host, with its standard input where it needs some.
Ask = Callable[..., Answer]


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(speed=FAST) as running:
        yield running


@pytest.fixture
def vios(simulator: Simulator) -> Ask:
    return lambda line, stdin="": ssh(simulator, "bvio82", line, stdin)


@pytest.fixture
def aix(simulator: Simulator) -> Ask:
    return lambda line, stdin="": ssh(simulator, "bxaix85", line, stdin)


def records(answer: Answer) -> list[dict[str, str]]:
    """Read ``name=value`` records the way the grammar says: CSV first, then the first ``=``."""
    rows = csv.reader(answer.lines)
    return [dict(pair.split("=", 1) for pair in row) for row in rows]


def test_the_system_has_its_capabilities_in_one_quoted_value(vios: Ask) -> None:
    system = records(vios("LANG=C lssyscfg -r sys"))[0]
    assert system["name"] == "Server-7998-61X-SN10071DA"
    assert "active_lpar_mobility_capable" in system["capabilities"].split(",")
    assert vios("lssyscfg -r sys -F type_model,serial_num").out == "7998-61X,10071DA\n"
    assert vios("lssyscfg -r sys -F capabilities").out.startswith('"active_lpar_mobility_capable,')


def test_a_header_and_another_delimiter(vios: Ask) -> None:
    answer = vios("lssyscfg -r lpar -F name:lpar_id:state --header")
    assert answer.lines[0] == "name:lpar_id:state"
    assert "bxaix85:2:Running" in answer.lines
    assert "bxaix86:3:Not Activated" in answer.lines


def test_a_filter_by_name_and_by_id(vios: Ask) -> None:
    assert vios('lssyscfg -r lpar --filter "lpar_names=bxaix85" -F lpar_id').out == "2\n"
    assert vios("lssyscfg -r lpar --filter lpar_ids=2 -F name").out == "bxaix85\n"
    both = vios('lssyscfg -r lpar --filter "\\"lpar_names=bxaix85,bxaix86\\"" -F name')
    assert both.lines == ["bxaix85", "bxaix86"]


def test_the_partition_is_ready_for_dlpar(vios: Ask) -> None:
    line = (
        "lssyscfg -r lpar --filter lpar_names=bxaix85 -F "
        "dlpar_mem_capable,dlpar_proc_capable,rmc_state,logical_serial_num"
    )
    assert vios(line).out == "1,1,active,10071DA2\n"


def test_a_profile_names_the_adapter_on_the_vios(vios: Ask) -> None:
    profile = records(vios("lssyscfg -r prof --filter lpar_names=bxaix85"))[0]
    assert profile["virtual_scsi_adapters"] == "2/client/1/10-071DA/11/1"
    assert profile["io_slots"] == "none"


def test_memory_and_processors_are_what_is_left(vios: Ask) -> None:
    fields = "configurable_sys_mem,curr_avail_sys_mem,sys_firmware_mem,mem_region_size"
    assert vios(f"lshwres -r mem --level sys -F {fields}").out == "16384,9728,512,64\n"
    assert (
        vios("lshwres -r proc --level sys -F configurable_sys_proc_units,curr_avail_sys_proc_units").out
        == "4.00,2.80\n"
    )
    memory = {row["lpar_name"]: row for row in records(vios("lshwres -r mem --level lpar"))}
    assert memory["bxaix85"]["run_mem"] == "4096"
    assert memory["bxaix85"]["run_num_huge_pages"] == "0"
    assert "run_num_huge_pages" not in memory["10-071DA"]
    assert memory["bxaix86"]["run_mem"] == "0"


def test_virtual_adapters(vios: Ask) -> None:
    scsi = records(vios("lshwres -r virtualio --rsubtype scsi --level lpar"))
    client = next(row for row in scsi if row["adapter_type"] == "client" and row["lpar_name"] == "bxaix85")
    assert (client["slot_num"], client["remote_slot_num"]) == ("2", "11")
    ethernet = records(vios("lshwres -r virtualio --rsubtype eth --level lpar"))
    assert [row["is_trunk"] for row in ethernet] == ["1", "0", "0"]
    assert "11,scsi" in vios("lshwres -r virtualio --rsubtype slot --level slot -F slot_num,config").lines
    assert vios("lshwres -r virtualio --rsubtype serial --level lpar").status == 0


def test_no_physical_adapter_is_no_result_and_no_error(vios: Ask) -> None:
    answer = vios('lshwres -r io --rsubtype slot --filter "lpar_names=bxaix85"')
    assert (answer.out, answer.err, answer.status) == ("", "[VIOSI01040010-0003] No results were found.\n", 0)


def test_nothing_is_migrating(vios: Ask) -> None:
    assert "name=bxaix85,lpar_id=2,migration_state=Not Migrating" in vios("lslparmigr -r lpar").lines
    fields = "num_active_migrations_supported,num_active_migrations_in_progress"
    assert vios(f"lslparmigr -r sys -F {fields}").out == "4,0\n"
    assert vios("lslparmigr -r manager").out == "remote_lpar_mobility_capable=1\n"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("lssyscfg -r lpar --filter lpar_names=nobody", "VIOSE010401A1-0042"),
        ("lssyscfg -r lpar -F name,colour", "colour"),
        ("lssyscfg", "VIOSE"),
        ("lssyscfg -r tea", "VIOSE"),
        ("lssyscfg -r sys --bogus", "VIOSE"),
        ("lssyscfg -m Server-other -r sys", "VIOSE"),
        ("mkauthkeys --test --ip 203.0.113.9 -u padmin", "VIOSE"),
        ("migrlpar -o v -t nowhere --ip 192.0.2.83 -p bxaix85", "VIOSE"),
    ],
)
def test_a_mistake_is_told_on_standard_error(vios: Ask, line: str, code: str) -> None:
    answer = vios(line)
    assert answer.out == ""
    assert code in answer.err
    assert answer.status != 0


def test_the_keys_are_exchanged(vios: Ask) -> None:
    answer = vios("mkauthkeys --test --ip 192.0.2.83 -u padmin")
    assert (answer.out, answer.err, answer.status) == ("", "", 0)


def test_vios_commands_need_the_prefix_and_the_managers_must_not_have_it(vios: Ask) -> None:
    assert vios("ioscli ioslevel").out == "1.5.1.1-FP-10.1\n"
    assert vios("lsmap -all").err == "ksh: lsmap:  not found.\n"
    assert vios("lsmap -all").status == 127
    assert vios("ioscli lssyscfg -r sys").status != 0
    assert vios("lshmc -V").status == 127


def test_lsmap_has_the_layout_of_a_vios_of_2008(vios: Ask) -> None:
    answer = vios("LANG=C ioscli lsmap -all")
    assert answer.lines[:12] == [
        "SVSA            Physloc                                      Client Partition ID",
        "--------------- -------------------------------------------- ------------------",
        "vhost0          U7998.61X.10071DA-V1-C11                     0x00000002",
        "",
        "VTD                   bxaix85_rvg",
        "Status                Available",
        "LUN                   0x8100000000000000",
        "Backing device        hdisk1",
        "Physloc               U78A5.001.WIH076E-P1-C6-T1-W500507630608059A-L4000400000000000",
        "",
        "VTD                   bxaix85_sap1",
        "Status                Available",
    ]
    assert "Mirrored" not in answer.out


def test_lsmap_with_a_format_keeps_its_own_order(vios: Ask) -> None:
    answer = vios("ioscli lsmap -vadapter vhost1 -fmt : -field vtd svsa bdphysloc backing")
    assert answer.out == "vhost1:bxaix86_rvg:lv_bxaix86: \n"
    assert vios("ioscli lsmap -vadapter vhost9").status == 15
    assert vios("ioscli lsmap -all -net -fmt :").out.startswith("ent4:U7998.61X.10071DA-V1-C3-T1:ent6:ent0:Available:")
    assert "SEA                   ent6" in vios("ioscli lsmap -all -net").lines
    assert vios("ioscli lsmap -all -npiv").out == ""


def test_disks_of_the_vios(vios: Ask) -> None:
    assert "hdisk1           00c71da1e5b1f0a2                     None" in vios("ioscli lspv").lines
    assert "hdisk1 00c71da1e5b1f0a2 20480" in " ".join(vios("ioscli lspv -size").out.split())
    assert vios("ioscli lsdev -dev hdisk1 -attr reserve_policy").lines == ["value", "", "no_reserve"]
    unique = vios("ioscli lsdev -dev hdisk1 -attr unique_id").lines[2]
    assert unique == "200B75BALB1400007210790003IBMfcp"
    paths = vios("ioscli lspath -dev hdisk1 -fmt :").lines
    assert paths[0] == "Enabled:hdisk1:fscsi0:500507630608059a,4000400000000000"
    assert len(paths) == 2
    assert "user_settable" in vios("ioscli lsdev -dev hdisk1 -attr").out


def test_devices_of_the_vios(vios: Ask) -> None:
    virtual = vios("ioscli lsdev -virtual").lines
    assert virtual[0] == "name             status      description"
    assert "vasi0            Available   Virtual Asynchronous Services Interface (VASI)" in virtual
    assert vios("ioscli lsdev -type sea").lines[1].startswith("ent6 ")
    assert vios("ioscli lsdev -dev vasi0").status == 0
    assert vios("ioscli lsdev -dev nothing").status != 0
    assert "Port VLAN ID:     1" in vios("ioscli entstat -all ent6").lines
    assert vios("ioscli lsrep").out.startswith("Size(mb) Free(mb) Parent Pool")
    assert vios("ioscli lsvopt").out == ""
    assert "VASI STATISTICS (vasi0) :" in vios("ioscli vasistat -all vasi0").lines


def test_pcmpath_behind_oem_setup_env(vios: Ask) -> None:
    answer = vios("echo 'pcmpath query device' | oem_setup_env")
    assert "Total Dual Active and Active/Asymmetric Devices : 4" in answer.lines
    assert vios("oem_setup_env", "pcmpath query device\n").out == answer.out
    assert vios("pcmpath query device").status == 127


def test_an_unknown_command_is_not_found(vios: Ask, aix: Ask) -> None:
    assert vios("foo") == Answer("", "ksh: foo:  not found.\n", 127)
    assert aix("python3 -V") == Answer("", "ksh: python3:  not found.\n", 127)


def test_a_line_of_several_commands(vios: Ask) -> None:
    assert vios("echo 'a; b' && ioscli hostname; false || echo no").lines == ["a; b", "bvio82", "no"]
    assert vios("false && echo never").status == 1
    assert vios("echo 'open").status == 2


def test_german_is_spoken_when_asked(vios: Ask, aix: Ask) -> None:
    line = "lshwres -r io --rsubtype slot --filter lpar_names=bxaix85"
    assert "keine Ergebnisse" in vios(f"LANG=de_DE {line}").err
    assert "Entitled  Capacity                         : 0,80" in aix("LANG=de_DE lparstat -i").lines


def test_the_partition_knows_who_it_is(aix: Ask) -> None:
    answer = aix("uname -m; uname -u; uname -f; uname -L; uname -a; oslevel -s; hostname")
    assert answer.lines == [
        "000071DA4C00",
        "IBM,0310071DA",
        "8000BA02D0071DA2",
        "2 bxaix85",
        "AIX bxaix85 3 5 000071DA4C00",
        "5300-07-03-0811",
        "bxaix85",
    ]
    conf = aix("lsconf").lines
    assert "Machine Serial Number: 10071DA" in conf
    assert "LPAR Info: 2 bxaix85" in conf
    assert "Memory Size: 4096 MB" in conf
    assert "Online Memory                              : 4096 MB" in aix("lparstat -i").lines


def test_disks_and_adapters_of_the_partition(aix: Ask) -> None:
    assert aix("lsvg -o").lines == ["sapvg", "rootvg"]
    assert [row.split()[:3] for row in aix("lspv").lines] == [
        ["hdisk0", "00c71da1e5b1f0a2", "rootvg"],
        ["hdisk1", "00c71da1e5b21b37", "sapvg"],
        ["hdisk2", "00c71da1e5b2494c", "sapvg"],
    ]
    assert aix("lspath").lines[0] == "Enabled hdisk0 vscsi0"
    assert all("Virtual" in row for row in aix("lsdev -Cc adapter").lines)
    assert len(aix("lsdev -Cc disk").lines) == 3


def test_what_runs_on_the_partition(aix: Ask) -> None:
    assert re.fullmatch(r" ctrmc +rsct +\d+ +active", aix("lssrc -s ctrmc").lines[1].rstrip())
    assert "IBM.DRM" in aix("lssrc -a | grep rsct").out
    assert re.match(r"\s+\d\d:\d\d[AP]M   up 41 days,", aix("uptime").out)
    assert aix("who -b").out.startswith("   .        system boot ")
    assert "ora_pmon_BX5" in aix("ps -ef").out
    assert aix("ps -e -o pid=,args= | grep -c dw.sapBX5").out == "41\n"  # the dispatcher and 40 work processes
    assert abs(int(aix("date +%s").out) - int(aix("perl -e 'print time'").out)) <= 3
    assert re.match(r"\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d UTC \d{4}$", aix("date -u").out.strip())


def test_the_error_log_begins_quietly(aix: Ask) -> None:
    assert aix("errpt").lines[0] == "IDENTIFIER TIMESTAMP  T C RESOURCE_NAME  DESCRIPTION"
    assert aix("errpt -a -J CLIENT_PMIG_STARTED,CLIENT_PMIG_DONE").out == ""


def test_files_of_the_partition(aix: Ask) -> None:
    log = "/etc/motd"  # one that does not grow
    text = aix(f"cat {log}").out
    assert aix(f"wc -c {log}").out.split() == [str(len(text)), log]
    assert aix(f"tail -c +11 {log}").out == text[10:]
    assert aix(f"ls -l {log}").out.startswith("-rw-r--r--")
    number, name = aix(f"ls -i {log}").out.split()
    assert number.isdigit()
    assert name == log
    assert aix(f"ls -t /nothing {log} /etc/hosts").status == 2
    assert aix("cat /../../../../etc/passwd").status != 0
    assert aix("cat /nothing").err == "cat: 0652-050 Cannot open /nothing.\n"


def test_perl_is_really_run(aix: Ask, simulator: Simulator) -> None:
    assert aix("perl -e 'print \"$_\\n\" for @ARGV; exit 3' a 'b c'") == Answer("a\nb c\n", "", 3)
    assert aix("perl -ne 'print uc'", "abc\n").out == "ABC\n"
    assert aix("perl -e 'print STDERR 1'").err == "1"
    assert aix("perl -e 'print join q(,), sort keys %ENV'").out == "HOME,LANG,LOGNAME,PATH,TZ"
    assert aix("perl -MCwd -e 'print getcwd'").out == str(simulator.directory / "partitions" / "bxaix85")
