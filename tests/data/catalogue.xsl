<?xml version="1.0" encoding="UTF-8"?>
<!-- Sorting, keys, grouping and string templates over the catalogues that the tests generate. -->
<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform" xmlns:c="urn:c" xmlns:m="urn:m"
                exclude-result-prefixes="c m">
  <xsl:output method="xml" indent="yes"/>
  <xsl:param name="least" select="8000"/>
  <xsl:key name="kind" match="c:item" use="@m:kind"/>
  <xsl:template match="/c:catalogue">
    <report>
      <kinds>
        <xsl:for-each select="c:item[generate-id() = generate-id(key('kind', @m:kind)[1])]">
          <xsl:sort select="@m:kind"/>
          <kind name="{@m:kind}" count="{count(key('kind', @m:kind))}" sum="{sum(key('kind', @m:kind)/@price)}"/>
        </xsl:for-each>
      </kinds>
      <xsl:apply-templates select="c:item[@price &gt;= $least]">
        <xsl:sort select="@price" data-type="number" order="descending"/>
        <xsl:sort select="@id"/>
      </xsl:apply-templates>
    </report>
  </xsl:template>
  <xsl:template match="c:item">
    <p id="{@id}">
      <xsl:value-of select="concat(c:name, ': ', translate(substring(c:text, 1, 80), 'abc', 'ABC'))"/>
      <xsl:call-template name="bars">
        <xsl:with-param name="n" select="floor(@price div 100)"/>
      </xsl:call-template>
    </p>
  </xsl:template>
  <xsl:template name="bars">
    <xsl:param name="n"/>
    <xsl:if test="$n &gt; 0">|<xsl:call-template name="bars">
        <xsl:with-param name="n" select="$n - 1"/>
      </xsl:call-template>
    </xsl:if>
  </xsl:template>
</xsl:stylesheet>
