// SPDX-License-Identifier: LGPL-2.1-or-later
// What is refused, with which words.
#include <basin/definition.hpp>
#include <basin/error.hpp>
#include <catch2/catch.hpp>

using namespace storage;

namespace {

struct Case {
    std::string xml;
    std::string message;
};

std::string error_of(const std::function<void()>& call, ErrorCode code = ErrorCode::invalid_xml)
{
    try {
        call();
    } catch (const Error& error) {
        CHECK(error.code() == code);
        CHECK((code != ErrorCode::invalid_xml || !error.remedy().empty()));
        return error.what();
    }
    return "accepted";
}

std::string pool_error(const std::string& xml, bool strict = false)
{
    return error_of([&] { parse_pool(xml, {.strict = strict}); });
}

std::string volume_error(const std::string& xml, const char* type = "dir",
                         VolumePurpose purpose = VolumePurpose::create)
{
    return error_of([&] { parse_volume(xml, type, purpose); });
}

std::string dir(const std::string& content)
{
    return "<pool type='dir'><name>p</name><target><path>/p</path></target>" + content + "</pool>";
}

std::string pool(const std::string& type, const std::string& source,
                 const std::string& target = "<target><path>/t</path></target>")
{
    return "<pool type='" + type + "'><name>p</name><source>" + source + "</source>" + target +
           "</pool>";
}

std::string scsi(const std::string& adapter)
{
    return pool("scsi", adapter);
}

std::string volume(const std::string& content)
{
    return "<volume><name>v</name><capacity>1</capacity>" + content + "</volume>";
}

std::string encryption(const std::string& content)
{
    return volume("<target>" + content + "</target>");
}

} // namespace

TEST_CASE("an error names line, column, element, value and what is allowed", "[xml]")
{
    CHECK(
        pool_error("<pool type='dir'>\n"
                   "  <name>ü</name>\n"
                   "  <target><permissions><mode>999</mode></permissions><path>/a</path></target>\n"
                   "</pool>") == "pool definition, line 3, column 24, "
                                 "/pool/target/permissions/mode: '999' is not an octal number "
                                 "from 0 to 0777");
    CHECK(pool_error("<pool type='netfs'>\n<source>\n<host name='a'/>ü<host name='b' port='x'/>"
                     "</source></pool>") ==
          "pool definition, line 3, column 33, /pool/source/host[2]/@port: 'x' is not a port "
          "number from 1 to 65535");
    CHECK(volume_error("<volume>\n\n <name>v</name></volume>") ==
          "volume definition, line 1, column 1, /volume: element 'capacity' is missing");
}

TEST_CASE("pool definitions that are refused", "[xml]")
{
    const Case cases[] = {
        {"", "there is no element"},
        {"  \n", "there is no element"},
        {"hello", "text outside of the root element"},
        {"<volume/>", "(allowed: pool)"},
        {"<pool/>", "attribute 'type' is missing"},
        {"<pool type=''/>", "a value is required"},
        {"<pool type='btrfs'/>",
         "pool type 'btrfs' is not known (allowed: dir, fs, netfs, logical, disk, iscsi, "
         "iscsi-direct, scsi, mpath, rbd, sheepdog, gluster, zfs, vstorage)"},
        {"<pool type='dir'><target><path>/p</path></target></pool>", "element 'name' is missing"},
        {"<pool type='dir'><name/></pool>", "a name is required"},
        {"<pool type='dir'><name>a/b</name></pool>", "contains '/'"},
        {"<pool type='dir'><name>..</name></pool>", "'..' cannot name a pool"},
        {"<pool type='dir'><name>.</name></pool>", "'.' cannot name a pool"},
        {"<pool type='dir'><name>a\nb</name></pool>", "control character U+000A"},
        {"<pool type='dir'><name>a&#9;b</name></pool>", "control character U+0009"},
        {"<pool type='dir'><name>a\x7F</name></pool>", "control character U+007F"},
        {"<pool type='dir'><name>" + std::string(252, 'x') + "</name></pool>",
         "is 252 bytes long (at most 251)"},
        {dir("<uuid>1234</uuid>"), "/pool/uuid: '1234' is not a uuid"},
        {dir("<uuid>0d0c0b0a-0908-4706-8504-00000000000g</uuid>"), "is not a uuid"},
        {dir("<features><cow state='maybe'/></features>"),
         "/pool/features/cow/@state: 'maybe' is not allowed (allowed: yes, no)"},
        {"<pool type='dir'><name>p</name></pool>", "the target path is missing"},
        {"<pool type='dir'><name>p</name><target/></pool>", "/pool/target: the target path"},
        {"<pool type='dir'><name>p</name><target><path>a/b</path></target></pool>",
         "/pool/target/path: 'a/b' is not an absolute path"},
        {"<pool type='dir'><name>p</name><target><path>/a&#10;</path></target></pool>",
         "control character U+000A"},
        {pool("fs", ""), "element 'device' is required for pool type 'fs'"},
        {"<pool type='fs'><name>p</name></pool>", "element 'source' is missing: element 'device'"},
        {pool("fs", "<device/>"), "attribute 'path' is missing"},
        {pool("fs", "<device path=''/>"), "a value is required"},
        {pool("fs", "<device path='/a'/><format type='reiserfs'/>"),
         "'reiserfs' is not allowed (allowed: auto, ext2, ext3"},
        {pool("disk", "<device path='/a' part_separator='1'/>"), "(allowed: yes, no)"},
        {pool("disk", ""), "element 'device' is required"},
        {pool("netfs", "<dir path='/a'/>"), "element 'host' is required"},
        {pool("netfs", "<host name='h'/>"), "element 'dir' with a path is required"},
        {pool("netfs", "<host/>"), "attribute 'name' is missing"},
        {pool("netfs", "<host name='h' port='65536'/>"), "'65536' is not a port number"},
        {pool("netfs", "<host name='h' port='-2'/>"), "'-2' is not a port number"},
        {pool("netfs", "<host name='h' port='99999999999'/>"), "is not a port number"},
        {pool("netfs", "<host name='h' port='1.5'/>"), "is not a port number"},
        {pool("netfs", "<host name='h' port=''/>"), "is not a port number"},
        {pool("netfs", "<host name='h'/><dir path='/d'/><format type='cifs'/><protocol ver='3'/>"),
         "source format 'cifs' has no protocol version (allowed with: auto, nfs)"},
        {pool("netfs", "<host name='h'/><dir path='/d'/><protocol ver='3,x'/>"),
         "contains a comma"},
        {pool("rbd", "<host name='h'/>", ""), "element 'name' is missing: the source's name"},
        {"<pool type='rbd'><name>p</name></pool>", "element 'host' is required"},
        {pool("rbd", "<name>n</name>"), "element 'host' is required"},
        {pool("rbd", "<name>n</name><host name='h'/><auth username='u'/>"),
         "attribute 'type' is missing"},
        {pool("rbd", "<name>n</name><host name='h'/><auth type='x' username='u'/>"),
         "(allowed: chap, ceph)"},
        {pool("rbd", "<name>n</name><host name='h'/><auth type='ceph'/>"),
         "attribute 'username' is missing"},
        {pool("rbd", "<name>n</name><host name='h'/><auth type='ceph' username='u'/>"),
         "element 'secret' is missing"},
        {pool("rbd", "<name>n</name><host name='h'/><auth type='ceph' username='u'><secret/>"
                     "</auth>"),
         "exactly one of the attributes 'uuid' and 'usage' is required"},
        {pool("rbd", "<name>n</name><host name='h'/><auth type='ceph' username='u'><secret "
                     "uuid='2ec115d7-3a88-3ceb-bc12-0ac909a6fd87' usage='x'/></auth>"),
         "exactly one of the attributes"},
        {pool("rbd", "<name>n</name><host name='h'/><auth type='ceph' username='u'><secret "
                     "uuid='x'/></auth>"),
         "/pool/source/auth/secret/@uuid: 'x' is not a uuid"},
        {"<pool type='rbd'><name>p</name><source><name>n</name><host name='h'/></source><refresh>"
         "<volume allocation='x'/></refresh></pool>",
         "(allowed: default, capacity)"},
        {"<pool type='rbd' xmlns:r='http://libvirt.org/schemas/storagepool/rbd/1.0'><name>p</name>"
         "<source><name>n</name><host name='h'/></source><r:config_opts><r:option name='a'/>"
         "</r:config_opts></pool>",
         "/pool/r:config_opts/r:option: attribute 'value' is missing"},
        {"<pool type='fs' xmlns:r='http://libvirt.org/schemas/storagepool/fs/1.0'><name>p</name>"
         "<source><device path='/n'/></source><target><path>/p</path></target><r:mount_opts>"
         "<r:option/></r:mount_opts></pool>",
         "attribute 'name' is missing"},
        {pool("sheepdog", ""), "element 'host' is required"},
        {pool("gluster", "<name>v</name>"), "element 'host' is required"},
        {pool("iscsi", ""), "element 'host' is required"},
        {pool("iscsi-direct", "<host name='h'/>"), "element 'initiator' with an 'iqn' is required"},
        {pool("scsi", ""), "element 'adapter' is required"},
        {scsi("<adapter/>"), "exactly one of attribute 'name' and element 'parentaddr'"},
        {scsi("<adapter type='x'/>"), "(allowed: scsi_host, fc_host)"},
        {scsi("<adapter name='host1' wwnn='1'/>"),
         "attribute 'type' is missing (allowed: scsi_host, fc_host)"},
        {scsi("<adapter name='host1' parent='1'/>"), "attribute 'type' is missing"},
        {scsi("<adapter><parentaddr unique_id='1'/></adapter>"), "attribute 'type' is missing"},
        {scsi("<adapter type='scsi_host'/>"), "exactly one of attribute 'name'"},
        {scsi("<adapter type='scsi_host' name='host1'><parentaddr unique_id='1'><address "
              "slot='1'/></parentaddr></adapter>"),
         "exactly one of attribute 'name'"},
        {scsi("<adapter type='scsi_host'><parentaddr unique_id='1'/></adapter>"),
         "element 'address' is missing"},
        {scsi("<adapter type='scsi_host'><parentaddr><address slot='1'/></parentaddr></adapter>"),
         "attribute 'unique_id' is missing"},
        {scsi("<adapter type='scsi_host'><parentaddr unique_id='-1'><address slot='1'/>"
              "</parentaddr></adapter>"),
         "'-1' is not a number from 0"},
        {scsi("<adapter type='scsi_host'><parentaddr unique_id='1'><address slot='0x20'/>"
              "</parentaddr></adapter>"),
         "@slot: '0x20' is not a number from 0 to 31"},
        {scsi("<adapter type='fc_host' wwpn='10000000c9831b4b'/>"), "attribute 'wwnn' is missing"},
        {scsi("<adapter type='fc_host' wwnn='10000000c9831b4b'/>"), "attribute 'wwpn' is missing"},
        {scsi("<adapter type='fc_host' wwnn='20000000c9831b4' wwpn='10000000c9831b4b'/>"),
         "@wwnn: '20000000c9831b4' is not 16 hexadecimal digits"},
        {scsi("<adapter type='fc_host' wwnn='20000000c9831b4b' wwpn='10000000c9831b4x'/>"),
         "is not 16 hexadecimal digits"},
        {scsi("<adapter type='fc_host' parent_wwnn='20000000c9831b4b' wwnn='20000000c9831b4b' "
              "wwpn='10000000c9831b4b'/>"),
         "'parent_wwnn' and 'parent_wwpn' are required together"},
        {dir("").insert(dir("").find("</target>"), "<permissions><mode>01777</mode></permissions>"),
         "'01777' is not an octal number"},
        {dir("").insert(dir("").find("</target>"),
                        "<permissions><owner>root</owner></permissions>"),
         "'root' is not a numeric id"},
        {dir("").insert(dir("").find("</target>"), "<permissions><group>-2</group></permissions>"),
         "'-2' is not a numeric id"},
        {dir("").insert(dir("").find("</target>"),
                        "<permissions><group>4294967296</group></permissions>"),
         "'4294967296' is not a numeric id"},
    };
    for (const auto& each : cases) {
        INFO(each.xml);
        CHECK_THAT(pool_error(each.xml), Catch::Contains(each.message));
    }
}

TEST_CASE("the cow feature is not supported by every pool type", "[xml]")
{
    const auto message = error_of(
        [] {
            parse_pool("<pool type='mpath'><name>p</name><features><cow state='yes'/></features>"
                       "<target><path>/dev/mapper</path></target></pool>");
        },
        ErrorCode::not_supported);
    CHECK(message == "pool 'p': feature 'cow' is not supported by pool type 'mpath'");
}

TEST_CASE("volume definitions that are refused", "[xml]")
{
    const Case cases[] = {
        {"<pool/>", "(allowed: volume)"},
        {"<volume/>", "element 'name' is missing"},
        {"<volume><name/></volume>", "a name is required"},
        {"<volume><name>a/b</name></volume>", "contains '/'"},
        {"<volume><name>..</name></volume>", "cannot name a volume"},
        {"<volume><name>a&#13;</name></volume>", "U+000D"},
        {"<volume><name>" + std::string(256, 'x') + "</name></volume>", "at most 255"},
        {"<volume type='x'><name>v</name></volume>",
         "(allowed: file, block, dir, network, netdir, ploop)"},
        {"<volume><name>v</name><capacity/></volume>", "a size is required"},
        {"<volume><name>v</name><capacity>-1</capacity></volume>", "'-1' is not a whole number"},
        {"<volume><name>v</name><capacity>1.5</capacity></volume>", "'1.5' is not a whole number"},
        {"<volume><name>v</name><capacity>0x10</capacity></volume>", "is not a whole number"},
        {"<volume><name>v</name><capacity>10 GiB</capacity></volume>", "is not a whole number"},
        {"<volume><name>v</name><capacity unit='furlong'>1</capacity></volume>",
         "unit 'furlong' is not known (allowed: B, bytes, K or KiB to E or EiB, KB to EB)"},
        {"<volume><name>v</name><capacity unit='EiB'>8</capacity></volume>",
         "'8 EiB' is more than the largest size"},
        {"<volume><name>v</name><capacity>9223372036854775808</capacity></volume>",
         "is more than the largest size of 2^63 - 1 bytes"},
        {"<volume><name>v</name><capacity>99999999999999999999999</capacity></volume>",
         "is more than the largest size"},
        {volume("<allocation unit='x'>1</allocation>"), "/volume/allocation: unit 'x'"},
        {volume("<target><format type='none'/></target>"), "'none' is not allowed (allowed: raw"},
        {volume("<target><format type='unknown'/></target>"), "'unknown' is not allowed"},
        {volume("<target><format type='luks'/></target>"), "'luks' is not allowed"},
        {volume("<target><compat>1</compat></target>"), "'1' is not a version"},
        {volume("<target><compat>1.1a</compat></target>"), "'1.1a' is not a version"},
        {volume("<target><compat>.1</compat></target>"), "is not a version"},
        {volume("<target><features><data_file/></features></target>"),
         "'data_file' is not a feature that can be asked for (allowed: lazy_refcounts, "
         "extended_l2)"},
        {volume("<target><features><x/></features></target>"), "'x' is not a feature"},
        {volume("<target><refcountBits>12</refcountBits></target>"),
         "'12' is not a width of reference counts"},
        {volume("<target><refcountBits>128</refcountBits></target>"), "'128' is not a width"},
        {volume("<target><dataFile raw='yes'/></target>"), "attribute 'path' is missing"},
        {volume("<target><dataFile path='/a' raw='perhaps'/></target>"), "'perhaps'"},
        {volume("<target><clusterSize unit='KiB'>x</clusterSize></target>"), "/clusterSize: 'x'"},
        {volume("<target><permissions><mode>7777</mode></permissions></target>"), "octal number"},
        {volume("<backingStore><path>/a</path><format type='none'/></backingStore>"),
         "/volume/backingStore/format/@type: 'none' is not allowed"},
        {encryption("<encryption/>"), "attribute 'format' is missing"},
        {encryption("<encryption format='x'/>"), "(allowed: default, qcow, luks, luks2, luks-any)"},
        {encryption("<encryption format='luks' engine='x'/>"), "(allowed: qemu, librbd)"},
        {encryption("<encryption format='luks'><secret usage='x'/></encryption>"),
         "attribute 'type' is missing"},
        {encryption("<encryption format='luks'><secret type='x' usage='x'/></encryption>"),
         "(allowed: passphrase)"},
        {encryption("<encryption format='luks'><secret type='passphrase'/></encryption>"),
         "exactly one of the attributes"},
        {encryption("<encryption format='luks'><cipher name='aes'/></encryption>"),
         "attribute 'size' is missing"},
        {encryption("<encryption format='luks'><cipher size='1'/></encryption>"),
         "attribute 'name' is missing"},
        {encryption("<encryption format='luks'><cipher name='aes' size='x'/></encryption>"),
         "'x' is not a number of bits"},
        {encryption("<encryption format='luks'><ivgen name='x'/></encryption>"),
         "element 'ivgen' requires element 'cipher'"},
    };
    for (const auto& each : cases) {
        INFO(each.xml);
        CHECK_THAT(volume_error(each.xml), Catch::Contains(each.message));
    }
}

TEST_CASE("a volume needs no capacity where another gives it", "[xml]")
{
    const std::string bare = "<volume><name>v</name></volume>";
    CHECK(parse_volume(bare, "dir", VolumePurpose::create_from).capacity == 0);
    CHECK(volume_error(bare) != "accepted");
    CHECK(volume_error(bare, "dir", VolumePurpose::describe) != "accepted");
    const auto backed =
        parse_volume("<volume><name>v</name><backingStore><path>/b</path></backingStore></volume>",
                     "dir", VolumePurpose::create);
    CHECK(backed.capacity == 0);
    CHECK(backed.backing.at(0).format == "raw");
}

TEST_CASE("what is ignored is reported, and refused in strict reading", "[xml]")
{
    const std::pair<std::string, std::string> cases[] = {
        {dir("<colour/>"), "/pool/colour: element 'colour' is ignored (elements known here: "},
        {dir("<source><host name='h'/></source>"), "/pool/source/host: element 'host' is ignored"},
        {dir("<refresh><volume allocation='default'/></refresh>"), "/pool/refresh: element"},
        {dir("<name>q</name>"), "/pool/name[2]: only the first element 'name' is read"},
        {dir("text"), "/pool: text 'text' is ignored"},
        {dir("<features flag='x'/>"), "/pool/features/@flag: 'x' is ignored (attributes known "
                                      "here: none)"},
        {dir("<fs:mount_opts/>"), "/pool/fs:mount_opts: element 'fs:mount_opts' is ignored"},
        {pool("logical", "<name>vg</name>"),
         "/pool/target/path: '/t' is ignored: a pool of type 'logical' has the target path "
         "/dev/vg"},
        {pool("gluster", "<host name='h'/>"), "/pool/target: element 'target' is ignored"},
    };
    for (const auto& [xml, message] : cases) {
        INFO(xml);
        std::vector<std::string> lines;
        parse_pool(xml, {.on_ignored = [&](std::string_view line) { lines.emplace_back(line); }});
        REQUIRE(lines.size() == 1);
        CHECK_THAT(lines[0], Catch::StartsWith("pool definition, line 1, column "));
        CHECK_THAT(lines[0], Catch::Contains(message));
        CHECK_THAT(pool_error(xml, true), Catch::Contains(message));
    }
}

TEST_CASE("a target path that the backend decides is compared as a path", "[xml]")
{
    // The source name is kept as it is written, the target path made from it is not.
    const auto def = parse_pool("<pool type='zfs'><name>p</name><source><name>a//b/</name></source>"
                                "</pool>");
    unsigned lines = 0;
    CHECK(parse_pool(format_pool(def), {.on_ignored = [&](std::string_view) { ++lines; }}) == def);
    CHECK(lines == 0);
}

TEST_CASE("reports of ignored parts are bounded", "[xml]")
{
    std::string xml = "<pool type='dir'><name>p</name><target><path>/p</path></target>";
    for (int i = 0; i < 60'000; ++i)
        xml += "<x/>";
    unsigned lines = 0;
    parse_pool(xml + "</pool>", {.on_ignored = [&](std::string_view) { ++lines; }});
    CHECK(lines == 100);
}

TEST_CASE("output-only parts are accepted on input, also strictly", "[xml]")
{
    CHECK(pool_error(dir("<capacity unit='x'>y</capacity><allocation/><available>1</available>"),
                     true) == "accepted");
    CHECK(error_of([] {
              parse_volume(volume("<key>k</key><physical>x</physical><source><device/></source>"
                                  "<target><path>p</path><timestamps><atime>x</atime></timestamps>"
                                  "</target><backingStore><path>/b</path><compat>x</compat>"
                                  "<features><data_file/></features></backingStore>"),
                           "dir", VolumePurpose::create, {.strict = true});
          }) == "accepted");
}

TEST_CASE("strict reading has the rules of libvirt's schema", "[xml]")
{
    const Case cases[] = {
        {pool("netfs", "<host name='a b'/><dir path='/d'/>"),
         "/pool/source/host/@name: 'a b' is neither a DNS name nor an IP address"},
        {pool("fs", "<device path='./sda'/>"),
         "'./sda' is neither an absolute path nor UUID=, LABEL=, PARTUUID= or PARTLABEL= with"},
        {pool("logical", "<device path='LABEL='/>"), "'LABEL=' is neither an absolute path nor"},
        {pool("iscsi", "<host name='h'/><device path='LABEL=x'/>"), "'LABEL=x' is neither an IQN"},
        {pool("iscsi", "<host name='h'/><device path='x y'/>"), "is neither an IQN nor an"},
        {pool("iscsi", "<host name='h'/><device path='iqn.2020-13.org.x:y'/>"), "is neither"},
        {dir("").insert(dir("").find("</target>"), "<permissions><mode/></permissions>"),
         "'' is not an octal number"},
        {pool("fs", "<device path='/a'/><format type=''/>"), "'' is not allowed (allowed: auto"},
        {pool("iscsi-direct",
              "<host name='h'/><device path='demo-target'/><initiator><iqn "
              "name='foo'/></initiator>",
              ""),
         "'demo-target' is not an IQN (iqn.YYYY-MM.domain[:text])"},
        {pool("netfs", "<host name='h'/><dir path='srv/a'/>"),
         "line 1, column 63, /pool/source/dir/@path: 'srv/a' is not an absolute path"},
        {pool("netfs", "<host name='h'/><dir path='srv'/><format type='nfs'/>"),
         "/pool/source/dir/@path: 'srv' is not an absolute path"},
        {pool("gluster", "<host name='h'/><name>v</name><dir path='srv'/>", ""),
         "/pool/source/dir/@path: 'srv' is not an absolute path"},
    };
    for (const auto& each : cases) {
        INFO(each.xml);
        CHECK(pool_error(each.xml) == "accepted");
        CHECK_THAT(pool_error(each.xml, true), Catch::Contains(each.message));
    }
    for (const auto& xml :
         {pool("iscsi", "<host name='fd00::1'/><device path='iqn.2020-12.org.x:y'/>"),
          pool("iscsi", "<host name='iscsi.example.com'/><device path='demo-target'/>"),
          pool("iscsi", "<host name='h'/><device path='/dev/x'/><initiator><iqn name='eui.02004567"
                        "a425678d'/></initiator>"),
          pool("fs", "<device path='sda'/>"), pool("fs", "<device path='LABEL=my disk'/>"),
          pool("disk", "<device path='PARTUUID=0a/1'/>"),
          pool("netfs", "<host name='h'/><dir path='srv'/><format type='cifs'/>"),
          pool("netfs", "<host name='h'/><dir path='srv'/><format type='glusterfs'/>"),
          pool("netfs", "<host name='h'/><dir path='/srv'/>"),
          pool("gluster", "<host name='h'/><name>v</name>", "")}) {
        INFO(xml);
        CHECK(pool_error(xml, true) == "accepted");
    }
    const auto based_on = [](const std::string& path, const char* type, bool strict) {
        return error_of([&] {
            parse_volume(volume("<backingStore><path>" + path + "</path></backingStore>"), type,
                         VolumePurpose::create, {.strict = strict});
        });
    };
    CHECK(based_on("a", "dir", false) == "accepted");
    CHECK(based_on("/p/a", "dir", true) == "accepted");
    CHECK(based_on("pool/image", "rbd", true) == "accepted");
    CHECK_THAT(based_on("a", "dir", true),
               Catch::Contains("/volume/backingStore/path: 'a' is not an absolute path"));
}

TEST_CASE("hostile text is refused with a place", "[xml]")
{
    const auto repeat = [](const std::string& text, int count) {
        std::string result;
        for (int i = 0; i < count; ++i)
            result += text;
        return result;
    };
    const Case cases[] = {
        {"<pool type='dir'><name>a" + std::string(1, '\0') + "b</name></pool>",
         "line 1, column 25: character U+0000 is not allowed in XML"},
        {"<pool>\n\x01</pool>", "line 2, column 1: character U+0001 is not allowed"},
        {"<pool>\xFF</pool>", "the bytes are not UTF-8"},
        {"<pool>\xC0\xAF</pool>", "the bytes are not UTF-8"},
        {"<pool>\xED\xA0\x80</pool>", "the bytes are not UTF-8"},
        {"<pool>\xF4\x90\x80\x80</pool>", "the bytes are not UTF-8"},
        {"<pool>\xE2\x82</pool>", "the bytes are not UTF-8"},
        {"<pool>\xEF\xBF\xBE</pool>", "character U+FFFE is not allowed"},
        {"<pool>&#0;</pool>", "'&#0;' is not supported"},
        {"<pool>&#xFFFF;</pool>", "is not supported"},
        {"<pool>&#x110000;</pool>", "is not supported"},
        {"<pool>&#99999999999999999999;</pool>", "is not supported"},
        {"<pool>&#+10;</pool>", "is not supported"},
        {"<pool>&nbsp;</pool>", "'&nbsp;' is not supported (allowed: &amp; &lt;"},
        {"<pool>a & b</pool>", "'&' must be written as '&amp;'"},
        {"<pool a='&x;'/>", "'&x;' is not supported"},
        {"<!DOCTYPE pool [<!ENTITY a 'b'>]><pool/>", "a document type declaration"},
        {"<pool><!DOCTYPE x></pool>", "a document type declaration"},
        {"<?xml version='1.0' encoding='ISO-8859-1'?><pool/>", "'encoding' 'ISO-8859-1'"},
        {"<?xml version='2.0'?><pool/>", "'version' '2.0' is not supported"},
        {"<?xml version='1.0'", "the XML declaration is not closed"},
        {" <?xml version='1.0'?><pool/>", "only at the very start"},
        {"<pool><a></pool>", "'</pool>' closes element 'a'"},
        {"<pool>", "element 'pool' is not closed"},
        {"<pool", "element 'pool' is not closed"},
        {"<pool a=1/>", "a quoted value expected"},
        {"<pool a='1/>", "the value is not closed"},
        {"<pool a/>", "'=' expected"},
        {"<pool a='1'b='2'/>", "white space, '>' or '/>' expected"},
        {"<pool a='1' a='2'/>", "attribute 'a' is given twice"},
        {"<pool a='<'/>", "'<' must be written as '&lt;' in a value"},
        {"<pool/><pool/>", "there is a second root element"},
        {"</pool>", "closes nothing"},
        {"<1/>", "the name of an element expected"},
        {"<pool>]]></pool>", "']]>' must be written"},
        {"<pool><!-- a -- b --></pool>", "'--' is not allowed in a comment"},
        {"<pool><!-- a", "the comment is not closed"},
        {"<pool><![CDATA[ a", "the CDATA section is not closed"},
        {"<pool><?pi", "the processing instruction is not closed"},
        {repeat("<a>", 65) + repeat("</a>", 65), "elements are nested deeper than 64"},
        {"<a>" + repeat("<b/>", 65'536) + "</a>", "more than 65536 elements and attributes"},
        {std::string(1024 * 1024 + 1, ' '), "more than the limit of 1 MiB"},
    };
    for (const auto& each : cases) {
        INFO(each.xml.substr(0, 100));
        CHECK_THAT(pool_error(each.xml), Catch::StartsWith("pool definition"));
        CHECK_THAT(pool_error(each.xml), Catch::Contains(each.message));
    }
}

TEST_CASE("well-formed XML of every shape is read", "[xml]")
{
    const std::string inputs[] = {
        "\xEF\xBB\xBF<?xml version=\"1.0\" encoding='UTF-8' standalone='yes'?>\n<!-- c --><?pi x?>"
        "<pool type='dir'><name>a</name><target><path>/p</path></target></pool>\n<!-- d -->\n",
        "<pool  type = \"dir\" ><name><![CDATA[a]]></name ><target><path>/<!-- x -->p</path>"
        "</target></pool>",
        "<pool type='&#100;ir'>\r\n<name>&#x61;</name>\r\n<target><path>/p</path></target></pool>",
    };
    for (const auto& xml : inputs) {
        INFO(xml);
        const auto def = parse_pool(xml);
        CHECK(def.name == "a");
        CHECK(def.target.path == "/p");
    }
}

TEST_CASE("a message is one short line whatever the value", "[xml]")
{
    const std::string name(100'000, 'x');
    CHECK(pool_error("<pool type='dir'><name>" + name + "</name></pool>").size() < 300);
    CHECK(pool_error("<" + name + "/>").size() < 400);
    CHECK(pool_error("<pool type='" + name + "'/>").size() < 400);
    CHECK(pool_error(dir("<" + name + "/>"), true).size() < 500);
    CHECK(pool_error("<pool type='dir'><name>a&#10;b</name></pool>").find("'a\\x0Ab'") !=
          std::string::npos);
}

TEST_CASE("what XML cannot hold is not printed", "[xml]")
{
    for (const auto& name : {std::string("a\x01"), std::string("a\xFF"), std::string(1, '\0')})
        CHECK_THROWS_AS(format_pool({.type = "dir", .name = name}), Error);
    CHECK_THROWS_AS(format_pool({.type = "nosuch", .name = "a"}), Error);
    CHECK_THROWS_AS(format_volume({.name = "a\x1F"}, "dir"), Error);
}
