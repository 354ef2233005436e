"""The output of machines in the field, beyond the recordings: odd levels, wrapped columns, empty values and the words
for them, quotes with commas, names with delimiters. Each is read as it is meant.

The forms are those of public captures, manuals and programs (`ZIU`, `SNAP`, `HMCMCP`, `ANS-VIOS`, `NOVA-IVM`, `BOND`,
`GLPI`); names, addresses and serial numbers are made up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lpmkit.checks.adapters import AdapterKind, adapter_kind
from lpmkit.checks.levels import numbers_of
from lpmkit.control import aix, aix_identity, firmware, hmc, linux, vios, vios_disks, vios_maps, vios_statistics
from lpmkit.control import hmc_resources as resources
from lpmkit.control import system_listings as system
from lpmkit.control.codes import codes_in
from lpmkit.inventory import OperatingSystem, Partition
from lpmkit.survey.model import Backing, backing_kind


def operating_system(version: str) -> OperatingSystem | None:
    """The system of a partition by the level that its manager lists."""
    return Partition("p", 3, "Running", "aixlinux", version).operating_system


#: Reader, text, view of the value, and what it must be. A row that was read wrong once says so in its name.
CASES: dict[str, tuple[Callable[[str], Any], str, Callable[[Any], Any], Any]] = {
    "lsmap: client not connected, no target": (
        vios_maps.read_scsi_map,
        "SVSA            Physloc                                      Client Partition ID\n--------------- -------------------------------------------- ------------------\nvhost5          U9117.MMB.999BCP-V2-C9                       0x00000000\n\nVTD                   NO VIRTUAL TARGET DEVICE FOUND\n\n",
        lambda v: [(one.name, one.client_lpar_id, one.targets) for one in v],
        [("vhost5", 0, ())],
    ),
    "lsmap: other widths, the next header without an empty line": (
        vios_maps.read_scsi_map,
        "SVSA                 Physloc                           Client Partition ID\n-------------        --------------------------------- ------------------\nvhost0               U787A.001.0397658-V1-C5           0x00000005\n\nVTD                   c5_vtscsi1\nStatus                Available\nLUN                   0x8100000000000000\nBacking device        hdisk2\nPhysloc\nSVSA                 Physloc                           Client Partition ID\n-------------        --------------------------------- ------------------\nvhost1               U787A.001.0397658-V1-C6           0x00000006\n\nVTD                   c6_vtscsi1\nStatus                Available\nLUN                   0x8100000000000000\nBacking device        hdisk5\nPhysloc\n",
        lambda v: [(one.name, one.targets[0].backing) for one in v],
        [("vhost0", "hdisk2"), ("vhost1", "hdisk5")],
    ),
    "lsmap: unit of a shared storage pool, N/A for its place": (
        vios_maps.read_scsi_map,
        "SVSA            Physloc                                      Client Partition ID\n--------------- -------------------------------------------- ------------------\nvhost12         U9105.22A.7892A31-V1-C45                     0x0000000c\n\nVTD                   vtscsi11\nStatus                Available\nLUN                   0x8100000000000000\nBacking device        rhel9_boot.b1c5f0a2d3e4465798a9babbccddeeff\nPhysloc               N/A\nMirrored              N/A\n",
        lambda v: backing_kind(v[0].targets[0]),
        Backing.POOL_UNIT,
    ),
    "lsmap: a tape that is only defined": (
        vios_maps.read_scsi_map,
        "SVSA            Physloc                                      Client Partition ID\n--------------- -------------------------------------------- ------------------\nvhost1          U8233.E8B.061AB2P-V1-C30                     0x00000003\n\nVTD                   tape1\nStatus                Defined\nLUN                   0x8400000000000000\nBacking device        rmt0\nPhysloc               U78A0.001.DNWGGSH-P1-C5-T1-W500000E012345678-L0\nMirrored              N/A\n",
        lambda v: (v[0].targets[0].status, backing_kind(v[0].targets[0])),
        ("Defined", Backing.TAPE),
    ),
    "lsmap: nothing at all": (vios_maps.read_scsi_map, "", lambda v: v, ()),
    "lsmap -net: no status at an old level": (
        vios_maps.read_network_map,
        "SVEA   Physloc\n------ --------------------------------------------\nent12  U9117.570.65E12FB-V2-C20-T1\n\nSEA                   ent13\nBacking device        ent3\nPhysloc               U7311.D20.651372C-P1-C01-T2\n",
        lambda v: [(one.sea, one.backing, one.status) for one in v],
        [("ent13", "ent3", None)],
    ),
    "lsmap -net: one SEA with two trunks over an EtherChannel, one trunk without": (
        vios_maps.read_network_map,
        "SVEA   Physloc\n------ --------------------------------------------\nent5   U9119.MME.21BBBBB-V2-C2-T1\n\nSEA                   ent21\nBacking device        ent20\nStatus                Available\nPhysloc\n\nSVEA   Physloc\n------ --------------------------------------------\nent6   U9119.MME.21BBBBB-V2-C3-T1\n\nSEA                   ent21\nBacking device        ent20\nStatus                Available\nPhysloc\n\nSVEA   Physloc\n------ --------------------------------------------\nent9   U9119.MME.21BBBBB-V2-C99-T1\n\nSEA                 NO SHARED ETHERNET ADAPTER FOUND\n",
        lambda v: [one.sea for one in v],
        ["ent21", "ent21", None],
    ),
    "lsmap -npiv: logged in, not logged in, not mapped": (
        vios_maps.read_fc_map_fields,
        "vfchost0:U9117.MMB.06A1B2P-V1-C1:5:nim1:AIX:LOGGED_IN:fcs0:U78C0.001.DBJN321-P2-C5-T1:5:a:fcs0:U9117.MMB.06A1B2P-V5-C5\nvfchost9:U9117.MMB.06A1B2P-V1-C10:9: : :NOT_LOGGED_IN:fcs1:U78C0.001.DBJN321-P2-C5-T2:0:4: : \nvfchost10:U9117.MMB.06A1B2P-V1-C11:10: : :NOT_LOGGED_IN: : :0:1: : \n",
        lambda v: [(one.client, one.status, one.port) for one in v],
        [("nim1", "LOGGED_IN", "fcs0"), (None, "NOT_LOGGED_IN", "fcs1"), (None, "NOT_LOGGED_IN", None)],
    ),
    "lsmap -npiv: IBM i": (
        vios_maps.read_fc_map_fields,
        "vfchost3:U9009.42A.78ABCDE-V2-C30:12:IBMI74:IBM i:LOGGED_IN:fcs2:U78D3.001.WZS0ABC-P1-C7-T3:3:a:DC05:U9009.42A.78ABCDE-V12-C30\n",
        lambda v: (v[0].client, v[0].client_os),
        ("IBMI74", "IBM i"),
    ),
    "lsmap -npiv: a name with the delimiter (was refused)": (
        vios_maps.read_fc_map_fields,
        "vfchost3:U9009.42A.78ABCDE-V2-C30:12:prod:db:AIX:LOGGED_IN:fcs2:U78D3.001.WZS0ABC-P1-C7-T3:3:a:fcs0:U9009.42A.78ABCDE-V12-C30\n",
        lambda v: (v[0].client, v[0].client_os, v[0].port),
        ("prod:db", "AIX", "fcs2"),
    ),
    "lsnports: another column, a port outside of a fabric": (
        vios_maps.read_fc_ports,
        "name             physloc                        fabric tports aports swwpns  awwpns label\nfcs0             U78D3.001.WZS0ABC-P1-C7-T1          1     64     60   2048    2032\nfcs1             U78D3.001.WZS0ABC-P1-C7-T2          0     64     64   2048    2048\n",
        lambda v: [(one.name, one.fabric) for one in v],
        [("fcs0", True), ("fcs1", False)],
    ),
    "lsnports: 255 ports, a label": (
        vios_maps.read_fc_ports,
        "name             physloc                        fabric tports aports swwpns  awwpns label\nfcs0             U78DA.ND0.WZS0A1B-P0-C3-T0          1    255    254   3088    3086 fabricA\n",
        lambda v: (v[0].ports, v[0].ports_left, v[0].wwpns_left),
        (255, 254, 3086),
    ),
    "lspv: repository, free and inactive groups": (
        vios_disks.read_disks,
        "NAME             PVID                                 VG               STATUS\nhdisk1           00f6f5d0a1b2c3d5                     caavg_private    active\nhdisk2           none                                 None             \nhdisk4           00f6f5d0a1b2c3d7                     altinst_rootvg\nhdisk5           00f6f5d0a1b2c3d9                     oldvg            locked\n",
        lambda v: [(one.pvid is None, one.volume_group) for one in v],
        [(False, "caavg_private"), (True, None), (False, "altinst_rootvg"), (False, "oldvg")],
    ),
    "lspv: PowerPath": (
        vios_disks.read_disks,
        "NAME             PVID                                 VG               STATUS\nhdiskpower0      00f6f5d0a1b2c3d4                     None\n",
        lambda v: v[0].name,
        "hdiskpower0",
    ),
    "lspath: every state": (
        vios_disks.read_paths,
        "Enabled:hdisk4:fscsi2:5005076803080067,2000000000000\nMissing:hdisk4:fscsi3:5005076803080068,2000000000000\nDefined:hdisk4:fscsi4:5005076803080069,2000000000000\nFailed:hdisk4:fscsi5:500507680308006a,2000000000000\nAvailable:hdisk0:sisscsia0:5,0\n",
        lambda v: [one.status for one in v],
        ["Enabled", "Missing", "Defined", "Failed", "Available"],
    ),
    "lspath: iSCSI, whose name has the delimiter (was refused)": (
        vios_disks.read_paths,
        "Enabled:hdisk9:iscsi0:192.0.2.50,0xcbc,0x0,iqn.1986-03.com.ibm:2145.svc.node1\n",
        lambda v: (v[0].disk, v[0].connection.rpartition(",")[2]),
        ("hdisk9", "iqn.1986-03.com.ibm:2145.svc.node1"),
    ),
    "ioslevel 4.1.1.0": (vios.read_level, "4.1.1.0\n", lambda v: v, "4.1.1.0"),
    "ioslevel 3.1.4.41": (vios.read_level, "3.1.4.41\n", lambda v: v, "3.1.4.41"),
    "ioslevel 2.1.3.10-FP23": (vios.read_level, "2.1.3.10-FP23\n", lambda v: v, "2.1.3.10-FP23"),
    "ioslevel 1.5.2.1-FP-11.1": (vios.read_level, "1.5.2.1-FP-11.1\n", lambda v: v, "1.5.2.1-FP-11.1"),
    "lsfware VL950_145": (firmware.read_firmware, "System Firmware level is FW950.80 (VL950_145)\n", str, "VL950_145"),
    "lsfware ML1060_053": (firmware.read_firmware, "System Firmware level is ML1060_053\n", str, "ML1060_053"),
    "lsfware EL350_163": (firmware.read_firmware, "System Firmware level is 01EL350_163\n", str, "EL350_163"),
    "lsfware SV860_236": (firmware.read_firmware, "System Firmware level is SV860_236 \n", str, "SV860_236"),
    "lsfware NH1110_030": (firmware.read_firmware, "System Firmware level is NH1110_030\n", str, "NH1110_030"),
    "lsfware VM950_131": (firmware.read_firmware, "System Firmware level is VM950_131 (t)\n", str, "VM950_131"),
    "lsdev -attr: persistent reservation": (vios.read_attribute, "value\n\nPR_shared\n", lambda v: v, "PR_shared"),
    "lsdev -attr: blanks inside": (
        vios.read_attribute,
        "value\n\n240C50 13413252806OPEN-V07HITACHIfcp\n",
        lambda v: v,
        "240C50 13413252806OPEN-V07HITACHIfcp",
    ),
    "lsdev -attr: blanks behind": (vios.read_attribute, "value \n \nno_reserve \n", lambda v: v, "no_reserve"),
    "lsdev -virtual: a virtual NIC server, a name wider than its column": (
        vios.read_devices,
        "name             status      description\nent20            Defined     Shared Ethernet Adapter\nvasi0            Available   Virtual Asynchronous Services Interface (VASI)\nvnicserver0      Available   Virtual NIC Server Device (vnicserver)\na_very_long_vtd_name_here Available   Virtual Target Device - Disk\n",
        lambda v: [(one.name, one.status) for one in v],
        [
            ("ent20", "Defined"),
            ("vasi0", "Available"),
            ("vnicserver0", "Available"),
            ("a_very_long_vtd_name_here", "Available"),
        ],
    ),
    "lsvopt: a name that is cut, an empty drive": (
        vios_disks.read_media,
        "VTD             Media                              Size(mb)\nvtopt0          AIX_7300-02-00_DVD_1_of_2_102023.i     4358\nvtopt1          No Media                                n/a\n",
        lambda v: [(name, media is not None) for name, media in v],
        [("vtopt0", True), ("vtopt1", False)],
    ),
    "cluster -status: a node that is down, another column": (
        vios_disks.read_cluster_status,
        "Cluster Name         State\nssp_prod             DEGRADED\n\n    Node Name        MTM           Partition Num  State  Pool State\n    vios1.example    9009-22A0278A1B2C1   1  OK     OK  MGMT\n    vios2            9009-22A0278A1B2C1   2  DOWN\n",
        lambda v: (v.state, [(one.state, one.pool_state) for one in v.nodes]),
        ("DEGRADED", [("OK", "OK"), ("DOWN", None)]),
    ),
    "entstat: load sharing, tags over two lines": (
        vios_statistics.read_shared_ethernet,
        "ETHERNET STATISTICS (ent22) :\nDevice Type: Shared Ethernet Adapter\nVLAN Ids :\n    ent20: 100\n    ent21: 200\nHigh Availability Statistics:\n    Control Channel PVID: 4094\n    State: PRIMARY_SH\n    Bridge Mode: Partial\n    VID shared: 100\n    High Availability Mode: Sharing\n    Priority: 1\nVirtual Adapter: ent20\n\nTrunk Adapter: True\n  Priority: 1  Active: True\nPort VLAN ID:   100\nVLAN Tag IDs:  None\nSwitch ID: ETHERNET0\nVirtual Adapter: ent21\n\nTrunk Adapter: True\n  Priority: 1  Active: False\nPort VLAN ID:   200\nVLAN Tag IDs:  201  202  203  204  205  206  207  208  209  210  211  212\n               213  214  215\nSwitch ID: ETHERNET0\n",
        lambda v: (v.state, [(one.active, one.vlans[-1]) for one in v.trunks]),
        ("PRIMARY_SH", [(True, 100), (False, 215)]),
    ),
    "entstat: one of two links of an EtherChannel is down": (
        vios_statistics.read_shared_ethernet,
        "ETHERNET STATISTICS (ent6) :\nDevice Type: Shared Ethernet Adapter\nReal Adapter: ent4\n\nETHERNET STATISTICS (ent4) :\nDevice Type: IEEE 802.3ad Link Aggregation\nETHERNET STATISTICS (ent0) :\nPhysical Port Link Status: Up\nETHERNET STATISTICS (ent1) :\nPhysical Port Link Status: Down\n",
        lambda v: v.link_up,
        True,
    ),
    "entstat: the logical port is down, the physical one is up (was up)": (
        vios_statistics.read_shared_ethernet,
        "ETHERNET STATISTICS (ent6) :\nDevice Type: Shared Ethernet Adapter\nReal Adapter: ent4\nETHERNET STATISTICS (ent4) :\nPhysical Port Link State: Up\nLogical Port Link State: Down\n",
        lambda v: v.link_up,
        False,
    ),
    "lssyscfg -r lpar: all fields of a Power10, most of them new": (
        system.read_partitions,
        'name=rhel9,lpar_id=7,lpar_env=aixlinux,state=Running,os_version=Linux/Red Hat 5.14.0-362.8.1.el9_3.ppc64le 9.3 (Plow),logical_serial_num=78A1B2C7,work_group_id=none,redundant_err_path_reporting=0,rmc_state=active,rmc_ipaddr=192.0.2.7,curr_lpar_proc_compat_mode=POWER10,simplified_remote_restart_capable=1,"remote_restart_status=Remote Restartable,Source",vtpm_enabled=0,migr_storage_vios_data_status=Data Collected,migr_storage_vios_data_timestamp=Mon Oct 05 10:11:12 UTC 2026,keystore_kbytes=0,virtual_serial_num=none,linux_dynamic_key_secure_boot=0\n',
        lambda v: (v[0].operating_system, v[0].simplified_remote_restart_capable, v[0].vtpm_enabled, v[0].keystore_kb),
        (OperatingSystem.LINUX, True, False, 0),
    ),
    "lssyscfg -r lpar: null in every column that may be": (
        system.read_partitions,
        "ibmi1,9,Running,os400,Unknown,78A1B2C9,null,null,none,0,null,null,POWER9_base\n",
        lambda v: (v[0].rmc_state, v[0].dlpar_mem_capable, v[0].operating_system),
        (None, None, OperatingSystem.IBM_I),
    ),
    "lssyscfg -r lpar: a name with a comma and quotes": (
        system.read_partitions,
        '"aix, ""prod""",3,Running,aixlinux,AIX 7.2 7200-05-03-2148,78A1B2C3,active,192.0.2.3,none,0,1,1,POWER9_base\n',
        lambda v: v[0].name,
        'aix, "prod"',
    ),
    "lssyscfg -r lpar: a word where a flag was expected (was refused)": (
        system.read_partitions,
        "p,3,Running,aixlinux,AIX 7.2,78A1B2C3,active,192.0.2.3,none,unknown,1,1,POWER9\n",
        lambda v: (v[0].redundant_error_path_reporting, v[0].dlpar_mem_capable),
        (None, True),
    ),
    "lssyscfg -r lpar: not activated": (
        system.read_partitions,
        "p,3,Not Activated,aixlinux,Unknown,78A1B2C3,inactive,,none,0,0,0,null\n",
        lambda v: (v[0].rmc_ipaddr, v[0].proc_compat_mode),
        (None, None),
    ),
    "lssyscfg -r lpar: two addresses": (
        system.read_partitions,
        'p,3,Running,aixlinux,AIX 7.3 7300-01-02-2320,78A1B2C3,active,"fe80:0:0:0:ee86:4ff:fe84:1234,192.0.2.3",none,0,1,1,POWER9\n',
        lambda v: v[0].rmc_ipaddr,
        "fe80:0:0:0:ee86:4ff:fe84:1234,192.0.2.3",
    ),
    "lssyscfg -r sys: no connection": (
        hmc.read_managed_systems,
        "192.0.2.220,9179-MHD,1003EFP,No Connection,null,null,null,null,null,null\n",
        lambda v: (v[0].state, v[0].capabilities, v[0].generation),
        ("No Connection", (), None),
    ),
    "lssyscfg -r sys: powered off": (
        hmc.read_managed_systems,
        "Server-9117-MMA-SN10A1B2C,9117-MMA,10A1B2C,Power Off,unavailable,unavailable,unavailable,unavailable,unavailable,unavailable\n",
        lambda v: (v[0].state, v[0].capabilities),
        ("Power Off", ()),
    ),
    "lssyscfg -r sys: Power10": (
        hmc.read_managed_systems,
        'p10,9105-22A,78A1B2C,Operating,1,1,"default,POWER8,POWER9_base,POWER9,POWER10",1,1,1\n',
        lambda v: v[0].generation,
        10,
    ),
    "lssyscfg -r sys: the vendor's other spelling (was no generation)": (
        hmc.read_managed_systems,
        'p11,9824-42A,78A1B2D,Operating,1,1,"default,POWER9_base,POWER9,POWER10,Power11",1,1,1\n',
        lambda v: v[0].generation,
        11,
    ),
    "lshwres -r proc: one decimal, two decimals": (
        system.read_system_processors,
        "24.0,3.35\n",
        lambda v: (v.configurable, v.available),
        (24.0, 3.35),
    ),
    "lshwres -r proc: dedicated": (
        system.read_partition_processors,
        "p,3,ded,null,4\n",
        lambda v: (v[0].proc_units, v[0].virtual_processors),
        (None, 4),
    ),
    "lshwres eth: none and null for no tags, a switch with a comma": (
        system.read_ethernet_adapters,
        'p,3,2,100,none,0,5AA111003004,ETHERNET0\nv,1,5,4094,null,1,5AA111003005,ETHERNET0\nv,1,6,1,"205,298,299",1,5AA111003006,"vswitch,a"\n',
        lambda v: [(one.vlans, one.vswitch) for one in v],
        [((100,), "ETHERNET0"), ((4094,), "ETHERNET0"), ((1, 205, 298, 299), "vswitch,a")],
    ),
    "lshwres scsi: any client": (
        system.read_scsi_adapters,
        "v1,1,30,server,null,any,any,0\n",
        lambda v: (v[0].remote_partition, v[0].remote_lpar_id, v[0].remote_slot),
        (None, None, None),
    ),
    "lshwres fc: null for a server's WWPNs": (
        resources.read_fc_adapters,
        'v1,1,21,server,p,4,5,null,0\np,4,5,client,v1,1,21,"C050760A1B2C0010,c050760a1b2c0011",1\n',
        lambda v: [one.wwpns for one in v],
        [(), ("c050760a1b2c0010", "c050760a1b2c0011")],
    ),
    "lshwres vnic: powered off": (
        resources.read_vnics,
        'p,5,7,"sriov/v1/1/1/0/27004001/2.0/2.0/50/100.0/100.0,sriov/v2/2/2/0/27008001/2.0/2.0/60/100.0/100.0","sriov/27004001/0/Powered Off,sriov/27008001/0/Powered Off",0,2e8f11005007\n',
        lambda v: [(one.server, one.active, one.state) for one in v[0].backing],
        [("v1", False, "Powered Off"), ("v2", False, "Powered Off")],
    ),
    "lshwres vnic: no backing device": (
        resources.read_vnics,
        "p,5,7,none,none,0,2e8f11005007\n",
        lambda v: v[0].backing,
        (),
    ),
    "lshwres physport: no state, a label with a comma": (
        resources.read_sriov_ports,
        '1,0,,U78DA.ND0.WZS0A1B-P0-C7-T0,null\n1,1,"prod,10G",U78DA.ND0.WZS0A1B-P0-C7-T1,1\n',
        lambda v: [(one.label, one.up) for one in v],
        [(None, None), ("prod,10G", True)],
    ),
    "entstat: no line about the link, a port in limbo (was not known)": (
        vios_statistics.read_shared_ethernet,
        "ETHERNET STATISTICS (ent22) :\nDevice Type: Shared Ethernet Adapter\nDriver Flags: Up Broadcast Running\n--------\nReal Adapter: ent1\n\nETHERNET STATISTICS (ent1) :\nDevice Type: PCIe2 4-Port Adapter (10GbE SFP+) (e4148a1614109304)\nDriver Flags: Up Broadcast Simplex \n\tLimbo 64BitSupport ChecksumOffload \n\tLargeSend DataRateSet \n--------\nVirtual Adapter: ent15\n\nTrunk Adapter: True\nPort VLAN ID:  4093\nVLAN Tag IDs: None\n",
        lambda v: (v.link_up, v.trunks[0].port_vlan_id),
        (False, 4093),
    ),
    "entstat: a later driver without a line about the link": (
        vios_statistics.read_shared_ethernet,
        "ETHERNET STATISTICS (ent22) :\nDevice Type: Shared Ethernet Adapter\n--------\nReal Adapter: ent1\n\nDriver Flags: Up Broadcast Running \n\tSimplex \n--------\nVirtual Adapter: ent15\n\nTrunk Adapter: True\nPort VLAN ID:  1\n",
        lambda v: v.link_up,
        None,
    ),
    "lsmap: logical volumes with names like disks, a USB drive, a unit with dots": (
        vios_maps.read_scsi_map,
        "SVSA            Physloc                                      Client Partition ID\n--------------- -------------------------------------------- ------------------\nvhost25         U8233.E8B.0637D5P-V1-C181                    0x0000001a\n \n"
        + " \n".join(
            f"VTD                   vt{at}\nStatus                Available\nLUN                   0x8{at}00000000000000\nBacking device        {name}\nPhysloc\nMirrored              N/A\n"
            for at, name in enumerate(
                ("hdisk_data", "hdisk10lv", "usbms0", "vol.prod.boot.6a9f00c1b2d34e5f60718293a4b5c6d7", "data.deadbeef")
            )
        ),
        lambda v: [backing_kind(target).name for target in v[0].targets],
        ["OTHER", "OTHER", "OTHER", "POOL_UNIT", "OTHER"],
    ),
    "lshwres physport: none for no label (was a label)": (
        resources.read_sriov_ports,
        "adapter_id=1,phys_port_id=1,phys_port_label=none,phys_port_loc=U78D2.001.WZS0ABC-P1-C4-T2,state=0\n",
        lambda v: (v[0].label, v[0].up),
        (None, False),
    ),
    "lshwres logport: unconfigured ones are nobody's": (
        resources.read_logical_ports,
        "null,null,1,27004004,null,null,null\nvios1,1,1,27004005,0,2.0,0\n",
        lambda v: [one.partition for one in v],
        ["vios1"],
    ),
    "lshwres logport: the share of an I/O server's port": (
        resources.read_logical_ports,
        "vios-a,100,1,27004003,1,2.0,0\n",
        lambda v: [(one.partition, one.adapter, one.port, one.capacity) for one in v],
        [("vios-a", 1, 1, 2.0)],
    ),
    "lsmemopt: in values and in records": (
        lambda text: [resources.read_affinity_scores(part + "\n") for part in text.split("\n") if part],
        "p9da10v1t,1,100\nlpar_name=dalpar2rrd1t,lpar_id=17,curr_lpar_score=none\n",
        lambda v: [(rows[0].partition, rows[0].score) for rows in v],
        [("p9da10v1t", 100), ("dalpar2rrd1t", None)],
    ),
    "/proc/device-tree: firmware of a Power10 (was kept whole)": (
        linux.read_firmware,
        "FW1060.10 (NL1060_053)\x00",
        lambda v: v,
        "NL1060_053",
    ),
    "lsdev -Cc adapter: places that begin with a letter (was not recognised)": (
        aix.read_adapters,
        "ent1 Available AB-00    PCIe2 4-Port Adapter (1GbE RJ45)\nfcs0 Available C3-T1 Virtual Fibre Channel Client Adapter\n",
        lambda v: [(one.location, adapter_kind(one)) for one in v],
        [("AB-00", AdapterKind.PHYSICAL), ("C3-T1", AdapterKind.VIRTUAL)],
    ),
    "lspv: a disk that is locked (was refused)": (
        aix.read_disks,
        "hdisk0          00f61ab2f73e46e2                    rootvg          active      locked\n",
        lambda v: v[0].volume_group,
        "rootvg",
    ),
    "lsdev -Cc adapter: both ends of a host Ethernet adapter": (
        aix.read_adapters,
        "lhea0 Available  Logical Host Ethernet Adapter (l-hea)\nent0 Available  Logical Host Ethernet Port (lp-hea)\n",
        lambda v: {adapter_kind(one) for one in v},
        {AdapterKind.HOST_ETHERNET},
    ),
    "oslevel -s: an early level of AIX 5.3": (aix_identity.read_level, "5300-04-CSP\n", lambda v: v, "5300-04-CSP"),
    "codes: an exit status": (codes_in, "The command ended with exit status 69.", lambda v: v, ("RC 69",)),
    "lshwres io: nobody's slot, a description with commas": (
        system.read_physical_slots,
        'U78DA.ND0.WZS0A1B-P0-C7,"PCIe4 x16, 2-port 100GbE RoCE",null\nU78DA.ND0.WZS0A1B-P0-C8,Empty slot,null\n',
        lambda v: [one.partition for one in v],
        [None, None],
    ),
    "lshwres mempool: none": (resources.read_memory_pools, "No results were found.\n", lambda v: v, ()),
    "lshwres pgdev: no size": (
        resources.read_paging_devices,
        "hdisk9,8192,Inactive\nlv_pg1,null,null\n",
        lambda v: [(one.size_mb, one.state) for one in v],
        [(8192, "Inactive"), (None, None)],
    ),
    "lslparmigr -r msp: an interface between the strokes": (
        resources.read_mover_pairs,
        'v1,1,"10.0.0.1/en0/1/v1b/10.0.0.2,10.0.0.1//2/v2b/10.0.0.3"\n',
        lambda v: [(one.source_address, one.target, one.target_address) for one in v],
        [("10.0.0.1", "v1b", "10.0.0.2"), ("10.0.0.1", "v2b", "10.0.0.3")],
    ),
    "lslparmigr -r msp: none": (resources.read_mover_pairs, "v1,1,none\n", lambda v: v, ()),
    "lshmc: fixes behind the build": (
        hmc.read_console_level,
        '"version= Version: 9\n Release: 2\n Service Pack: 952\nHMC Build level 2108210125\nMF69387: Required fix for HMC V9R2 M952 (09-14-2021)\n","base_version=V9R1\n"\n',
        lambda v: (v.numbers, v.service_pack),
        ((9, 2), "952"),
    ),
    "lshmc: version 11": (
        hmc.read_console_level,
        '"version= Version: 11\n Release: 1\n Service Pack: 1110\nHMC Build level 2507110030\n","base_version=V11R1\n"\n',
        lambda v: v.numbers,
        (11, 1),
    ),
    "lsdev -Cc adapter: pseudo devices without hardware are not removed": (
        aix.read_adapters,
        "ent1    Available          Virtual NIC Client Adapter (vnic)\nfcs0    Available 05-T1    Virtual Fibre Channel Client Adapter\ncryptz0 Available          Cryptographic accelerator\npkcs11  Available          ACF/PKCS#11 Device\n",
        lambda v: [adapter_kind(one) for one in v],
        [AdapterKind.VIRTUAL, AdapterKind.VIRTUAL, AdapterKind.OTHER, AdapterKind.OTHER],
    ),
    "lsdev -Cc adapter: virtual functions of two generations": (
        aix.read_adapters,
        "ent0 Available 00-00 PCIe2 100/1000 Base-TX 4-port Converged Network Adapter VF (df1028e214103c04)\nent1 Available 00-00-00 PCIe4 2-Port 25/10 Gb NIC&ROCE SFP28 Virtual Function\n",
        lambda v: [adapter_kind(one) for one in v],
        [AdapterKind.VIRTUAL_FUNCTION, AdapterKind.VIRTUAL_FUNCTION],
    ),
    "lssrc: inoperative without a process": (
        aix.read_subsystem,
        "Subsystem         Group            PID          Status \n ctrmc            rsct                          inoperative\n",
        lambda v: (v.status, v.pid),
        ("inoperative", None),
    ),
    "codes: a step that failed after one that did not (0 was a code)": (
        codes_in,
        "HSCLA29A The RMC command issued to partition vios2 failed.\nThe RMC return code is:\n0\nThe OS command return code is:\n69\n",
        lambda v: v,
        ("HSCLA29A", "RC 69"),
    ),
    "codes: one behind the other": (
        codes_in,
        "HSCLA257 The migrating partition is not ready.\nDetails:\nHSCL365C The partition has been resumed on the source.\n",
        lambda v: v,
        ("HSCLA257", "HSCL365C"),
    ),
    "levels: a service pack in a word of its own (was level 1)": (
        numbers_of,
        "2.2.0.10-FP-24 SP-01",
        lambda v: v,
        (2, 2, 0, 10),
    ),
    "os_version IBM i Licensed Internal Code 7.5.0 310 0": (
        operating_system,
        "IBM i Licensed Internal Code 7.5.0 310 0",
        lambda v: v,
        OperatingSystem.IBM_I,
    ),
    "os_version Linux/SuSE 6.4.0-150600.21-default 15.6": (
        operating_system,
        "Linux/SuSE 6.4.0-150600.21-default 15.6",
        lambda v: v,
        OperatingSystem.LINUX,
    ),
    "os_version VIOS 4.1.1.0": (operating_system, "VIOS 4.1.1.0", lambda v: v, OperatingSystem.VIOS),
    "os_version 0.0.0.0.0.0": (operating_system, "0.0.0.0.0.0", lambda v: v, None),
    "os_version Nieznane": (operating_system, "Nieznane", lambda v: v, None),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_printed_in_the_field_is_read_as_it_is_meant(name: str) -> None:
    reader, text, view, expected = CASES[name]
    assert view(reader(text)) == expected
