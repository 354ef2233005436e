"""Every option that ``ssh -G`` prints has a row in the table, and what is read of it is what stands there."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lpmkit.errors import UsageError
from lpmkit.ssh.known_hosts import KnownHosts, Trust
from lpmkit.ssh.negotiation import Negotiation
from lpmkit.ssh.options import OPTIONS, Options, Support
from lpmkit.ssh.route import Route, jump_route, read_jump, read_route, route
from tests.ssh_servers import key_file

#: Options that ``ssh -G`` prints only where they are set.
SET = """
Host all
  AddressFamily inet
  BindAddress 127.0.0.1
  BindInterface lo
  CertificateFile ~/.ssh/cert.pub
  ControlPath ~/.ssh/cm-%C
  DynamicForward 1080
  HostKeyAlias other
  IdentityAgent none
  KnownHostsCommand /bin/true %H
  LocalCommand true
  LocalForward 1 localhost:2
  PKCS11Provider /usr/lib/p.so
  PreferredAuthentications publickey
  ProxyCommand nc %h %p
  RemoteCommand uptime
  RemoteForward 1 localhost:2
  RevokedHostKeys /etc/ssh/revoked
  SendEnv LANG LC_* TERM
  SetEnv A=b
  StrictHostKeyChecking no
  Tag some
  UserKnownHostsFile /dev/null
Host jumped
  ProxyJump anna@[2001:db8::1]:2222,last
Host last
  Port 2022
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config"
    lines = [line for line in SET.splitlines() if "Tag" not in line or _knows_tag()]
    path.write_text("\n".join(lines) + "\n")
    return path


def _knows_tag() -> bool:
    reply = subprocess.run(["ssh", "-G", "-F", "/dev/null", "-o", "Tag=x", "x"], capture_output=True, check=False)
    return reply.returncode == 0


def test_every_option_that_the_client_prints_has_a_row(config: Path) -> None:
    printed = {*route("all", config).options.values, *route("jumped", config).options.values}
    assert len(printed) > 80
    assert printed - OPTIONS.keys() == set()


def test_an_ordinary_configuration_asks_for_nothing_that_is_not_honoured(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("Host *\n  SendEnv LANG LC_*\n  HashKnownHosts yes\n  ForwardX11 yes\n")
    options = route("x", tmp_path / "config").options
    assert list(options.not_honoured()) == []
    assert list(options.beyond_paramiko()) == []


def test_what_is_not_honoured_is_named_with_the_reason(config: Path) -> None:
    told = "\n".join(route("all", config).options.not_honoured())
    for words in ("stricthostkeychecking false is not honoured: an unknown host key is always refused",
                  "remotecommand uptime", "sendenv TERM", "setenv A=b"):  # fmt: skip
        assert words in told
    assert "sendenv LANG" not in told
    assert "lpmkit does not know this option" in "".join(Options.read("novelty yes\n").not_honoured())


@pytest.mark.parametrize("key", [key for key, option in OPTIONS.items() if option.support is Support.NOT_HONOURED])
def test_what_is_not_honoured_has_a_reason(key: str) -> None:
    assert OPTIONS[key].why


def test_what_only_openssh_can_do_selects_it(config: Path, tmp_path: Path) -> None:
    reasons = " ".join(route("all", config).options.beyond_paramiko())
    for word in ("pkcs11provider", "knownhostscommand", "revokedhostkeys"):
        assert word in reasons


def test_files_with_a_space_and_tokens_are_found(tmp_path: Path) -> None:
    spaced = tmp_path / "known hosts"
    spaced.touch()
    text = f"user padmin\nuserknownhostsfile {spaced} /k/%h\nidentityfile /id/%r@%n\nhostname 192.0.2.1\n"
    target = read_route("vios", text)
    assert target.known_hosts == (str(spaced), "/k/192.0.2.1")
    assert target.identities == ("/id/padmin@vios",)


def test_jump_hosts_are_read_as_ssh_reads_them(config: Path) -> None:
    last = jump_route(route("jumped", config))
    assert (last.host, last.port, last.jumps) == ("last", 2022, ("anna@[2001:db8::1]:2222",))
    first = jump_route(last)
    assert (first.hostname, first.port, first.user, first.jumps) == ("2001:db8::1", 2222, "anna", ())
    assert read_jump("ssh://anna@gate:22") == ("anna", "gate", "22")
    assert read_jump("2001:db8::1") == ("", "2001:db8::1", "")


def test_limits_are_those_of_the_configuration() -> None:
    assert read_route("x", "connecttimeout 60\n").handshake_timeout_s == 60
    assert read_route("x", "connecttimeout none\n").handshake_timeout_s >= 60
    assert read_route("x", "connecttimeout 2\n").connect_timeout_s == 2


def test_a_line_that_is_no_entry_costs_itself(tmp_path: Path) -> None:
    key = Path(f"{key_file('ed25519')}.pub").read_text()
    known = tmp_path / "known_hosts"
    known.write_text(f"# x {key}garbage\n\nx ssh-ed25519 not*base64\n@else x {key}|1|broken {key}x {key}\xff\n")
    hosts = KnownHosts.read([str(known), str(tmp_path / "none")], ("x",))
    assert hosts.trust("ssh-ed25519", hosts.keys[-1].blob)[0] is Trust.KNOWN
    assert hosts.trust("ssh-ed25519", b"other")[0] is Trust.CHANGED
    assert KnownHosts.read([], ("x",)).trust("ssh-ed25519", b"other")[0] is Trust.UNKNOWN


def test_a_cipher_that_needs_no_mac_lacks_none() -> None:
    offers = {
        "kexalgorithms": ("a",),
        "hostkeyalgorithms": ("a",),
        "ciphers": ("aes256-gcm@openssh.com",),
        "macs": ("odd",),
    }
    mine = "kexalgorithms a\nhostkeyalgorithms a\nmacs hmac-sha2-256\nciphers "
    assert Negotiation(offers).lacking(Options.read(mine + "aes256-gcm@openssh.com\n")) == []
    assert Negotiation(offers).lacking(Options.read(mine + "aes128-ctr\n")) == ["ciphers", "macs"]


def test_a_host_at_the_usual_port_has_one_name() -> None:
    assert Route("x", "192.0.2.1", 22, "u").key_names == ("192.0.2.1",)
    assert Route("x", "192.0.2.1", 23, "u").key_names == ("[192.0.2.1]:23", "192.0.2.1")
    assert Route("x", "192.0.2.1", 23, "u", host_key_alias="y").key_names == ("y",)


@pytest.mark.parametrize(
    "host", ["", "-oProxyCommand=reboot", "a\nproxycommand reboot", "a b", "a\rb", "a\x1b]0;b", "\u202eeman"]
)
def test_what_is_no_name_of_a_host_never_reaches_ssh(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lpmkit.ssh.route.subprocess.run", None)
    with pytest.raises(UsageError, match="is no name of a host"):
        route(host)
