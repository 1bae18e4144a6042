"""What the window shows of texts and records that try to show something else than what is signed."""

from __future__ import annotations

import pytest

from signing.formats.emr import EmrForm
from signing.preview import LINE_MAX, LINES_MAX, NOTICES, Notice, RecordKind, text_preview
from tests.support.medical_records import RECORD
from tests.support.xml_signatures import ODD, signed


def _record(narrative: str, *, before: str = "", body: str = "") -> bytes:
    inner = body or (
        f"<structuredBody><component><section><title>處置</title><text>{narrative}</text></section>"
        "</component></structuredBody>"
    )
    return (
        f'{before}<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:x="urn:x"><title>紀錄</title>'
        f"<component>{inner}</component></ClinicalDocument>"
    ).encode()


def test_a_record_is_its_heading_and_its_sections_in_order_signed_or_not() -> None:
    for document in (RECORD, signed(EmrForm(), RECORD)):
        preview = text_preview(document)
        assert preview is not None
        assert (preview.kind, preview.record_type) == (RecordKind.MEDICAL_RECORD, "出院病摘")
        assert [line for line in preview.lines if line] == [
            "出院病摘",
            "日期 Date: 20260115",
            "病人 Patient: 王小明",
            "# 診斷",
            "右下葉肺炎，已改善。",
            "# 用藥",
            "藥名 │ 劑量 │",
            "阿莫西林 │ 500 mg │",
        ]


@pytest.mark.parametrize(
    ("document", "shown", "notice"),
    [
        (
            _record('<content styleCode="xDisplayNone">不要輸血</content>'),
            "不要輸血",
            None,
        ),
        (_record("<paragraph>不<!-- x -->要<?x y?>輸血</paragraph>"), "不要輸血", None),
        (
            _record("<paragraph>不&#x202E;血輸要&#x202C;</paragraph>"),
            "不[U+202E]血輸要[U+202C]",
            Notice.INVISIBLE,
        ),
        (_record("不&#x200B;要&#xFE0F;輸&#x3164;血"), "不[U+200B]要[U+FE0F]輸[U+3164]血", Notice.INVISIBLE),
        (_record("王&#xE123;明"), "王[U+E123]明", Notice.PRIVATE_USE),
        (_record('<content revised="delete">要</content>輸血'), "〔刪除 deleted: 要〕輸血", Notice.REVISED),
        (_record('<renderMultiMedia referencedObject="MM1"/>見圖'), "〔圖 MM1〕見圖", Notice.PICTURES),
        (
            _record('<linkHtml href="https://evil.test/a.png">看這裡</linkHtml>'),
            "看這裡 〔https://evil.test/a.png〕",
            None,
        ),
        (_record("<x:script>alert(1)</x:script>"), "alert(1)", None),
        (_record("&lt;script&gt;alert(1)&lt;/script&gt;"), "<script>alert(1)</script>", None),
        (_record("<![CDATA[<b>粗</b>]]>"), "<b>粗</b>", None),
        (
            _record("同意", before='<?xml-stylesheet type="text/xsl" href="https://evil.test/x.xsl"?>'),
            "同意",
            Notice.STYLESHEET,
        ),
        (
            _record(
                "",
                body='<nonXMLBody><text mediaType="application/pdf" representation="B64">JVBERg=='
                "</text></nonXMLBody>",
            ),
            "紀錄",
            Notice.ATTACHMENT,
        ),
        (
            _record("").replace(b"<text></text>", "<text>同意</text><entry><act/></entry>".encode()),
            "同意",
            Notice.STRUCTURED,
        ),
        (
            b'<p:ContentPackage xmlns:p="urn:p"><p:ContentContainer><p:Other>x</p:Other>'
            + _record("同意")
            + b"</p:ContentContainer></p:ContentPackage>",
            "同意",
            Notice.OUTSIDE_RECORD,
        ),
    ],
)
def test_a_record_that_tries_to_show_something_else_is_shown_as_it_is(
    document: bytes, shown: str, notice: Notice | None
) -> None:
    preview = text_preview(document)
    assert preview is not None
    assert preview.kind is RecordKind.MEDICAL_RECORD
    assert preview.lines[-1] == shown
    assert set(preview.notices) == ({notice} if notice else set())


def test_what_only_begins_like_xml_is_a_text() -> None:
    preview = text_preview("<同意 to what follows".encode())
    assert preview is not None
    assert (preview.kind, preview.lines) == (RecordKind.TEXT, ("<同意 to what follows",))


def test_a_list_is_shown_with_its_points_and_a_record_without_a_title_without_one() -> None:
    document = _record("<list><item>一</item><item>二</item></list>")
    preview = text_preview(document.replace("<title>紀錄</title>".encode(), b"", 1))
    assert preview is not None
    assert preview.record_type == ""
    assert [line for line in preview.lines if line] == ["# 處置", "• 一", "• 二"]


def test_a_record_that_is_packed_in_something_unknown_is_not_all_of_it() -> None:
    inner = _record("同意")
    package = b'<p:ContentPackage xmlns:p="urn:p"><p:Other>' + inner + b"</p:Other></p:ContentPackage>"
    preview = text_preview(package)
    assert preview is not None
    assert preview.notices == (Notice.OUTSIDE_RECORD,)


def test_xml_that_is_no_record_is_shown_as_what_was_read_of_it() -> None:
    preview = text_preview(ODD)
    assert preview is not None
    assert preview.kind is RecordKind.XML
    assert "王小明&#13;" in "\n".join(preview.lines)
    # In the encoding that it declares, and not in another in which the same bytes say something else.
    declared = '<?xml version="1.0" encoding="Big5"?><同意/>'.encode("big5")
    assert text_preview(declared).lines[-1] == "<同意/>"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "document",
    [b"\xff\xfe\x00binary", "病歷".encode("big5"), b"a\0b", b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"],
    ids=["binary", "unknown encoding", "NUL", "entities"],
)
def test_what_cannot_be_shown_for_certain_is_not_shown(document: bytes) -> None:
    assert text_preview(document) is None


def test_a_text_is_shown_with_its_control_characters_written_out() -> None:
    preview = text_preview("\ufeff同意\r\n第二行\x1b[2J\u2028\t末".encode())
    assert preview is not None
    assert preview.lines == ("同意", "第二行[U+001B][2J[U+2028]    末")


def test_what_is_long_is_shortened_and_says_so() -> None:
    preview = text_preview(b"a" * (LINE_MAX * (LINES_MAX + 1)))
    assert preview is not None
    assert len(preview.lines) == LINES_MAX
    assert preview.notices == (Notice.SHORTENED,)


def test_a_deeply_nested_record_ends_no_window() -> None:
    deep = _record("<list><item>" * 900 + "同意" + "</item></list>" * 900)
    preview = text_preview(deep)
    assert preview is None or preview.kind is RecordKind.XML


def test_every_notice_has_both_sentences() -> None:
    assert set(NOTICES) == set(Notice)
