"""What strangers write to reach what they must not reach."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

_RANGES = [
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
    "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "::/96", "::ffff:0:0:0/96",
    "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/32", "2001:2::/48", "2001:10::/28",
    "2001:20::/28", "2001:db8::/32", "2002::/16", "3fff::/20", "4000::/3", "5f00::/16", "8000::/2",
    "c000::/3", "e000::/4", "f000::/5", "fc00::/8", "fd00::/8", "fe80::/10", "fec0::/10",
    "ff00::/8",
]  # fmt: skip

METADATA = [
    "169.254.169.254", "169.254.169.253", "169.254.170.2", "169.254.0.23", "100.100.100.200",
    "168.63.129.16", "192.0.0.192", "::ffff:169.254.169.254", "::ffff:100.100.100.200",
    "::ffff:168.63.129.16", "::169.254.169.254", "::ffff:0:169.254.169.254",
    "64:ff9b::169.254.169.254", "64:ff9b:1::169.254.169.254", "2002:a9fe:a9fe::1",
    "2001:0:7f00:1::5601:5601", "2606:4700::5efe:169.254.169.254",
    "2606:4700::200:5efe:169.254.169.254", "fe80::a9fe:a9fe", "fec0::a9fe:a9fe", "fd00:ec2::254",
    "fd00:ec2::253", "fd00:ec2::23", "fd20:ce::254", "fd00:42::42", "fd00:c1::a9fe:a9fe",
    "fd00:c1:ffff::1",
]  # fmt: skip
"""Where clouds keep a machine's secrets, and tunnels that could lead there."""


def _samples(network: str) -> Iterator[str]:
    found = ipaddress.ip_network(network)
    for index in (0, found.num_addresses // 2 + 1, found.num_addresses - 1):
        yield str(found[index])


_OLD = [address for network in _RANGES for address in _samples(network)]
NOT_PUBLIC = list(
    dict.fromkeys(
        _OLD
        + METADATA
        + [f"::ffff:{address}" for address in _OLD if "." in address and ":" not in address]
        + ["127.0.0.1", "::1", "::127.0.0.1", "fd12:3456:789a::1", "2606:4700::5efe:10.0.0.1"]
    )
)
"""First, last and some address of every range that is not public, and those that hide one."""

PUBLIC = [
    "1.1.1.1", "8.8.8.8", "93.184.216.34", "151.101.1.69", "1.0.0.0", "9.255.255.255", "11.0.0.0",
    "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0", "169.253.255.255",
    "169.255.0.0", "172.15.255.255", "172.32.0.0", "191.255.255.255", "192.0.1.0", "192.0.3.0",
    "192.88.98.255", "192.88.100.0", "192.167.255.255", "192.169.0.0", "198.17.255.255",
    "198.20.0.0", "223.255.255.255", "::ffff:8.8.8.8", "2000::", "2001:200::", "2001:db7:ffff::1",
    "2001:db9::", "2003::", "2606:4700:4700::1111", "2a00:1450:4001:81b::200e", "3ffe:ffff:ffff::1",
    "3fff:1000::",
]  # fmt: skip
"""Those that everybody knows, and the neighbours of every range that is not public."""

_PRIVATE = ("127.0.0.1", "169.254.169.254", "10.0.0.1")


def _spellings(ip: str) -> Iterator[str]:
    """One IPv4 address in all manners of writing that some reader understands."""
    a, b, c, d = (int(part) for part in ip.split("."))
    number = int(ipaddress.IPv4Address(ip))
    yield from (str(number), hex(number), f"0{number:o}", hex(number).upper())
    yield from (f"{a:#x}.{b:#x}.{c:#x}.{d:#x}", f"0{a:o}.0{b:o}.0{c:o}.0{d:o}")
    yield from (f"{a}.{number & 0xFFFFFF}", f"{a}.{b}.{number & 0xFFFF}", f"{a:#x}.{b}.0{c:o}.{d}")
    yield from (f"{ip}.", f"{ip}..", f"{a}.{b}.{c}.{d + 256}", f" {ip}", f"{ip} ")
    yield from (ip.replace(".", "。"), ip.replace(".", "．"), ip.replace(".", "｡"))
    yield from (f"{ip}%00.example.org", f"{ip}\x00.example.org", f"{ip}\t", f"exa\nmple@{ip}")
    yield "".join(chr(0xFF10 + int(c)) if c.isdigit() else c for c in ip)
    yield "".join(f"%{ord(c):02x}" for c in ip)
    yield from (
        f"user:pass@{ip}",
        f"{PUBLIC[2]}@{ip}",
        f"{PUBLIC[2]}:80@{ip}",
        f"@{ip}",
        f"a@b@{ip}",
    )
    yield from (f"{PUBLIC[2]}\\@{ip}", f"{ip}\\.example.org", f"[::ffff:{ip}]", f"[::{ip}]")
    yield from (f"[::ffff:{number >> 16:x}:{number & 0xFFFF:x}]", f"[64:ff9b::{ip}]", f"[{ip}]")
    yield from (f"[0:0:0:0:0:FFFF:{ip}]", f"[::ffff:{ip}%25lo]", f"[fe80::{ip}%25eth0]")
    yield from (f"[2002:{number >> 16:x}:{number & 0xFFFF:x}::]", f"[::ffff:0:{ip}]")


SPELLINGS = [spelling for ip in _PRIVATE for spelling in _spellings(ip)] + [
    "localhost", "LOCALHOST", "localhost.", "①②⑦.⓪.⓪.①", "127.1", "127.0.1", "0", "0x0", "[::]",
    "[::1]", "[0:0:0:0:0:0:0:1]", "[::0001]", "[::1%25lo]", "0.0.0.0", "017700000001",
    "metadata.google.internal", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
]  # fmt: skip

SCHEMES = [
    "file", "ftp", "ftps", "sftp", "tftp", "scp", "ssh", "telnet", "gopher", "gophers", "dict",
    "ldap", "ldaps", "ldapi", "imap", "imaps", "pop3", "smtp", "smtps", "smb", "smbs", "nfs", "afp",
    "rtsp", "rtmp", "rtmps", "rtp", "mms", "git", "svn", "rsync", "jar", "netdoc", "php", "phar",
    "expect", "ogg", "zlib", "glob", "view-source", "blob", "javascript", "vbscript", "mailto",
    "tel", "chrome", "about", "resource", "ws", "wss", "h2c", "httpx", "httpss", "http+unix",
    "unix", "npipe", "redis", "mongodb", "mysql", "postgres", "jdbc", "ipfs", "magnet", "cid",
    "mid", "gs", "azblob", "concat", "pipe", "fd", "subfile", "crypto", "cache", "hls", "async",
]  # fmt: skip

TARGETS = [
    "http://127.0.0.1/canary", "http://127.0.0.1:22/canary", "https://127.0.0.1/canary",
    "//127.0.0.1/canary", "http://localhost/canary", "http://[::1]/canary", "http://2130706433/",
    "http://0x7f.1/", "http://0/", "http://169.254.169.254/latest/meta-data",
    "//169.254.169.254/latest", "http://[::ffff:169.254.169.254]/", "http://100.100.100.200/",
    "http://168.63.129.16/", "http://10.0.0.1/", "http://192.168.1.1/", "http://[fd00:ec2::254]/",
    "http://[fd20:ce::254]/", "http://93.184.216.34@127.0.0.1/", "http://127。0。0。1/",
    "http://93.184.216.34\\@127.0.0.1/", "http://inside.test/", "http://mixed.test/",
    "https://inside.test/", "file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1:6379/_",
    "data:audio/wav;base64,AAAA", "javascript:alert(1)", "https:///canary", "http://x:99999/",
]  # fmt: skip
"""Where a public host may send us in vain."""
