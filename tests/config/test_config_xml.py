"""Hadoop's XML files: what they say, with lines; and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairnfs.config.entry import Entry
from cairnfs.config.xml_file import parse_xml, read_xml
from cairnfs.errors import ConfigurationError
from cairnfs.limits import CONFIGURATION_FILE_BYTES_MAX

SITE = b"""<?xml version="1.0" encoding="UTF-8"?>
<?xml-stylesheet type="text/xsl" href="configuration.xsl"?>
<!-- a comment -->
<configuration>
  <property>
    <name>fs.defaultFS</name>
    <value>hdfs://nn:8020</value>
    <description>with <b>markup</b> and <name>x</name></description>
  </property>
  <property><name> dfs.replication </name><value>
      2
  </value><final>true</final></property>
  <property name="dfs.blocksize" value="64m"/>
  <property><name>empty</name><value></value></property>
  <property><name>says.nothing</name></property>
  <property><name>escaped</name><value>a &lt;&amp;&gt; b<![CDATA[ <c>]]></value></property>
</configuration>
"""


@pytest.mark.requirement("A30")
def test_properties_with_their_lines() -> None:
    assert parse_xml(SITE, "hdfs-site.xml") == [
        Entry("fs.defaultFS", "hdfs://nn:8020", 5),
        Entry("dfs.replication", "2", 10, final=True),
        Entry("dfs.blocksize", "64m", 13),
        Entry("empty", "", 14),
        Entry("escaped", "a <&> b <c>", 16),
    ]


BOMB = b"""<!DOCTYPE configuration [
  <!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
]>
<configuration><property><name>x</name><value>&b;</value></property></configuration>
"""


@pytest.mark.requirement("A30")
@pytest.mark.parametrize(
    ("data", "line", "words"),
    [
        (BOMB, 1, "document type or entity"),
        (b"<configuration>\n<property>\n</configuration>", 3, "mismatched tag"),
        (b"", 1, "no element"),
        (b"<configuration>\n\n&nothing;</configuration>", 3, "undefined entity"),
        (b"<project/>", 1, "<project>, not <configuration>"),
        (b"<configuration>\n<property><value>1</value></property></configuration>", 2, "no <name>"),
        (
            (
                b"<configuration xmlns:xi='http://www.w3.org/2001/XInclude'>\n"
                b"<xi:include href='/etc/passwd'/></configuration>"
            ),
            2,
            "<xi:include> is not followed",
        ),
        (b"\x00\x01\x02", 1, "not well-formed"),
    ],
)
def test_what_is_no_configuration_is_refused_with_file_and_line(
    data: bytes, line: int, words: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_xml(data, "conf/core-site.xml")
    assert str(caught.value).startswith(f"conf/core-site.xml:{line}: ")
    assert words in str(caught.value)


def test_an_unknown_encoding_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"core-site\.xml"):
        parse_xml(b"<?xml version='1.0' encoding='klingon'?><configuration/>", "core-site.xml")


def test_a_file_that_is_missing_or_far_too_large_is_named(tmp_path: object) -> None:
    from pathlib import Path

    place = Path(str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"nothing\.xml cannot be read: No such file"):
        read_xml(place / "nothing.xml")
    large = place / "large.xml"
    with large.open("wb") as file:
        file.truncate(CONFIGURATION_FILE_BYTES_MAX + 1)
    with pytest.raises(ConfigurationError, match=r"large\.xml is larger than"):
        read_xml(large)


@given(
    st.lists(
        st.sampled_from(
            [
                b"<configuration>",
                b"</configuration>",
                b"<property>",
                b"</property>",
                b"<name>",
                b"</name>",
                b"<value>",
                b"</value>",
                b"<final/>",
                b"dfs.x",
                b"true",
                b"&amp;",
                b"&x;",
                b"<!DOCTYPE x>",
                b"<?xml version='1.0'?>",
                b"<xi:include/>",
                b"\xff",
                b"\n",
            ]
        )
    )
)
def test_any_xml_gives_entries_or_the_declared_error(parts: list[bytes]) -> None:
    try:
        entries = parse_xml(b"".join(parts), "x.xml")
    except ConfigurationError as error:
        assert str(error).startswith("x.xml:")  # noqa: PT017  (both outcomes are right)
    else:
        assert all(entry.name and entry.line >= 1 for entry in entries)
