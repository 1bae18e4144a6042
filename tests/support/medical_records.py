"""A medical record as hospitals exchange them; everything in it is invented."""

from __future__ import annotations

RECORD = """<?xml version="1.0" encoding="UTF-8"?>
<?xml-stylesheet type="text/xsl" href="CDA.xsl"?>
<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/>
  <code code="18842-5" codeSystem="2.16.840.1.113883.6.1" displayName="Discharge summary"/>
  <title>出院病摘</title>
  <effectiveTime value="20260115"/>
  <recordTarget><patientRole><id extension="A000000000"/>
    <patient><name>王小明</name></patient></patientRole></recordTarget>
  <component><structuredBody>
    <component><section><title>診斷</title>
      <text><paragraph>右下葉肺炎，<content styleCode="Bold">已改善</content>。</paragraph></text>
    </section></component>
    <component><section><title>用藥</title>
      <text><table><thead><tr><th>藥名</th><th>劑量</th></tr></thead>
        <tbody><tr><td>阿莫西林</td><td>500 mg</td></tr></tbody></table></text></section></component>
  </structuredBody></component>
</ClinicalDocument>
""".encode()
