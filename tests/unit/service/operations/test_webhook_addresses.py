import socket

import pytest

from modelgenerator.service.errors import AddressRefused
from modelgenerator.service.operations.webhook_addresses import check_written, resolved


def stands_for(monkeypatch, *addresses):
    """Every name means these addresses."""

    def infos(host, port, **_):
        del host
        return [(_family(it), socket.SOCK_STREAM, 6, "", (it, port)) for it in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", infos)


def _family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"])
def test_an_address_of_the_open_internet_is_connected_to(monkeypatch, address):
    stands_for(monkeypatch, address)
    target = resolved("https://hooks.example/x?y=z", allows_private=False)
    assert (target.host, target.ip, target.port, target.is_tls) == (
        "hooks.example",
        address,
        443,
        True,
    )


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "198.18.0.1",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "2002:7f00:1::",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
    ],
)
def test_an_address_inside_is_refused_however_it_is_written(monkeypatch, address):
    stands_for(monkeypatch, address)
    with pytest.raises(AddressRefused, match="private network"):
        resolved("https://hooks.example/", allows_private=False)
    assert resolved("https://hooks.example/", allows_private=True)


def test_one_address_inside_is_enough_to_refuse_a_name(monkeypatch):
    stands_for(monkeypatch, "93.184.216.34", "10.0.0.1")
    with pytest.raises(AddressRefused):
        resolved("https://hooks.example/", allows_private=False)


@pytest.mark.parametrize("number", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1"])
def test_numbers_that_are_addresses_are_seen_through(number):
    with pytest.raises(AddressRefused):
        resolved(f"http://{number}/", allows_private=False)


def test_a_name_that_nobody_knows_is_refused(monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(AddressRefused, match=r"no host hooks\.example"):
        resolved("https://hooks.example/", allows_private=False)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example",
        "ftp://hooks.example/",
        "file:///etc/passwd",
        "http:///x",
        "https://a:b@hooks.example/",
        "https://a@hooks.example/",
        "https://hooks.example:0/",
        "https://hooks.example:99999/",
        "https://hooks.example:x/",
        "https://[::1/",
        "https://hooks.example/a b",
        "https://hooks.example/\nX: y",
        "https://hooks.example/" + "a" * 2_000,
    ],
)
def test_what_is_no_address_of_a_web_server_is_refused(url):
    with pytest.raises(AddressRefused):
        check_written(url)
