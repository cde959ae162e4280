#include "attest/x509.hpp"

#include <algorithm>
#include <array>
#include <set>

#include "attest/oids.hpp"
#include "attest/roots.hpp"
#include "core/text.hpp"

namespace tacit::attest {
namespace {

using crypto::SignatureScheme;
using der::Reader;

bool same(BytesView a, BytesView b) { return std::ranges::equal(a, b); }
bool less(BytesView a, BytesView b) { return std::ranges::lexicographical_compare(a, b); }

struct Algorithm {
  std::string_view encoded;  // the whole AlgorithmIdentifier, in hexadecimal
  SignatureScheme scheme;
};

// Every accepted signature algorithm identifier, byte for byte: RFC 5758, RFC 4055. RSA-PSS comes
// with its parameters; AMD writes the trailer field although it has its default value.
constexpr std::array kAlgorithms{
    Algorithm{"300a06082a8648ce3d040302", SignatureScheme::ecdsa_sha256_der},
    Algorithm{"300a06082a8648ce3d040303", SignatureScheme::ecdsa_sha384_der},
    Algorithm{"300a06082a8648ce3d040304", SignatureScheme::ecdsa_sha512_der},
    Algorithm{"300d06092a864886f70d01010b0500", SignatureScheme::rsa_pkcs1_sha256},
    Algorithm{"300d06092a864886f70d01010c0500", SignatureScheme::rsa_pkcs1_sha384},
    Algorithm{"300d06092a864886f70d01010d0500", SignatureScheme::rsa_pkcs1_sha512},
    Algorithm{"304106092a864886f70d01010a3034a00f300d06096086480165030402020500a11c301a06092a864886"
              "f70d010108300d06096086480165030402020500a203020130",
              SignatureScheme::rsa_pss_sha384},
    Algorithm{"304606092a864886f70d01010a3039a00f300d06096086480165030402020500a11c301a06092a864886"
              "f70d010108300d06096086480165030402020500a203020130a303020101",
              SignatureScheme::rsa_pss_sha384},
};

bool equals_hex(BytesView bytes, std::string_view hex) {
  if (bytes.size() * 2 != hex.size()) return false;
  const auto nibble = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto value = nibble(hex[2 * i]) * 16 + nibble(hex[2 * i + 1]);
    if (std::to_integer<int>(bytes[i]) != value) return false;
  }
  return true;
}

Result<SignatureScheme> algorithm(Reader& in) {
  TACIT_TRY(const auto element, in.take(der::kSequence));
  for (const auto& known : kAlgorithms)
    if (equals_hex(element.whole, known.encoded)) return known.scheme;
  return fail(Code::unsupported, "signature algorithm of a certificate");
}

std::string common_name_of(BytesView name) {
  std::string found;
  Reader outer{name};
  auto names = outer.enter(der::kSequence);
  while (names && !names->done()) {
    auto set = names->enter(der::kSet);
    if (!set) break;
    while (!set->done()) {
      auto pair = set->enter(der::kSequence);
      if (!pair) return found;
      const auto oid = pair->take(der::kOid);
      const auto value = pair->any();
      if (!oid || !value) return found;
      if (same(oid->content, oid::kCommonName)) found = printable(as_text(value->content));
    }
  }
  return found;
}

Result<void> basic_constraints(Certificate& out, BytesView value) {
  Reader outer{value};
  TACIT_TRY(auto in, outer.enter(der::kSequence));
  if (in.next_is(der::kBoolean)) {
    TACIT_TRY(const auto flag, in.take(der::kBoolean));
    if (flag.content.size() != 1 || flag.content[0] != std::byte{0xff})
      return fail(Code::malformed, "basic constraints");
    out.is_ca = true;
  }
  if (in.next_is(der::kInteger)) {
    TACIT_TRY(out.path_length_max, in.small_integer());
  }
  if (!in.done() || !outer.done()) return fail(Code::malformed, "basic constraints");
  return {};
}

Result<void> key_usage(Certificate& out, BytesView value) {
  Reader in{value};
  TACIT_TRY(const auto bits, in.take(der::kBitString));
  if (!in.done() || bits.content.size() < 2 || bits.content.size() > 3)
    return fail(Code::malformed, "key usage");
  auto usage = static_cast<std::uint16_t>(std::to_integer<unsigned>(bits.content[1]) << 8U);
  if (bits.content.size() == 3)
    usage = static_cast<std::uint16_t>(usage | std::to_integer<unsigned>(bits.content[2]));
  out.key_usage = usage;
  return {};
}

Result<std::vector<Extension>> extensions(BytesView wrapped) {
  Reader outer{wrapped};
  TACIT_TRY(auto list, outer.enter(der::kSequence));
  if (!outer.done()) return fail(Code::malformed, "extensions");
  std::vector<Extension> all;
  while (!list.done()) {
    TACIT_TRY(auto one, list.enter(der::kSequence));
    TACIT_TRY(const auto oid, one.take(der::kOid));
    Extension extension{oid.content, {}, false};
    if (one.next_is(der::kBoolean)) {
      TACIT_TRY(const auto flag, one.take(der::kBoolean));
      extension.critical = flag.content.size() == 1 && flag.content[0] == std::byte{0xff};
      if (!extension.critical) return fail(Code::malformed, "critical flag of an extension");
    }
    TACIT_TRY(const auto value, one.take(der::kOctetString));
    if (!one.done()) return fail(Code::malformed, "extension");
    extension.value = value.content;
    for (const auto& before : all)
      if (same(before.oid, extension.oid)) return fail(Code::malformed, "extension given twice");
    if (all.size() == 40) return fail(Code::too_large, "number of extensions");
    all.push_back(extension);
  }
  return all;
}

Result<void> parse_tbs(Certificate& out, SignatureScheme outer_scheme) {
  Reader outer{out.tbs};
  TACIT_TRY(auto in, outer.enter(der::kSequence));
  TACIT_TRY(auto version_in, in.enter(der::context(0)));
  TACIT_TRY(const auto version, version_in.small_integer());
  if (version != 2 || !version_in.done()) return fail(Code::unsupported, "certificate version");
  TACIT_TRY(const auto serial, in.take(der::kInteger));
  if (serial.content.empty() || serial.content.size() > 32)
    return fail(Code::malformed, "serial number of a certificate");
  out.serial = serial.content;
  TACIT_TRY(const auto scheme, algorithm(in));
  if (scheme != outer_scheme) return fail(Code::malformed, "certificate with two algorithms");
  out.scheme = scheme;
  TACIT_TRY(const auto issuer, in.take(der::kSequence));
  out.issuer = issuer.whole;
  TACIT_TRY(auto validity, in.enter(der::kSequence));
  TACIT_TRY(out.not_before, validity.time());
  TACIT_TRY(out.not_after, validity.time());
  if (!validity.done()) return fail(Code::malformed, "validity of a certificate");
  TACIT_TRY(const auto subject, in.take(der::kSequence));
  out.subject = subject.whole;
  TACIT_TRY(const auto spki, in.take(der::kSequence));
  out.spki = spki.whole;
  TACIT_TRY(out.key, crypto::VerifyingKey::parse_spki(spki.whole));
  if (in.next_is(der::context(3))) {
    TACIT_TRY(const auto wrapped, in.take(der::context(3)));
    TACIT_TRY(out.extensions, extensions(wrapped.content));
  }
  if (!in.done() || !outer.done()) return fail(Code::malformed, "certificate with more fields");
  for (const auto& extension : out.extensions) {
    if (same(extension.oid, oid::kBasicConstraints))
      TACIT_CHECK(basic_constraints(out, extension.value));
    if (same(extension.oid, oid::kKeyUsage)) TACIT_CHECK(key_usage(out, extension.value));
  }
  return {};
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out{text.substr(0, 200)};
  for (auto& c : out)
    if (c < 0x20 || c > 0x7e) c = '?';
  return out;
}

std::string Certificate::common_name() const { return common_name_of(subject); }
std::string Certificate::issuer_common_name() const { return common_name_of(issuer); }
std::string Crl::issuer_common_name() const { return common_name_of(issuer); }

std::optional<BytesView> Certificate::extension(BytesView oid) const {
  for (const auto& extension : extensions)
    if (same(extension.oid, oid)) return extension.value;
  return std::nullopt;
}

// KeyUsage (RFC 5280, 4.2.1.3): digitalSignature is bit 0, keyCertSign 5, cRLSign 6.
bool Certificate::may_sign_data() const { return !key_usage || (*key_usage & 0x8000U) != 0; }
bool Certificate::may_sign_certificates() const {
  return is_ca && (!key_usage || (*key_usage & 0x0400U) != 0);
}
bool Certificate::may_sign_crls() const {
  return is_ca && (!key_usage || (*key_usage & 0x0600U) != 0);
}

Result<CertificatePtr> parse_certificate(BytesView bytes) {
  if (auto known = built_in_certificate(bytes)) return known;
  TACIT_TRY(auto made, parse_new_certificate(bytes));
  return CertificatePtr{std::move(made)};
}

Result<std::shared_ptr<Certificate>> parse_new_certificate(BytesView bytes) {
  if (bytes.size() > kCertificateBytesMax)
    return fail(Error{Code::too_large, "certificate"}.with("limit", kCertificateBytesMax));
  auto out = std::make_shared<Certificate>();
  out->der.assign(bytes.begin(), bytes.end());
  Reader outer{out->der};
  TACIT_TRY(auto in, outer.enter(der::kSequence));
  TACIT_TRY(const auto tbs, in.take(der::kSequence));
  out->tbs = tbs.whole;
  TACIT_TRY(const auto scheme, algorithm(in));
  TACIT_TRY(out->signature, in.octet_bits());
  if (!in.done() || !outer.done()) return fail(Code::malformed, "bytes after a certificate");
  TACIT_CHECK(parse_tbs(*out, scheme));
  return out;
}

namespace {

Result<void> parse_revoked(Crl& out, Reader list) {
  while (!list.done()) {
    TACIT_TRY(auto entry, list.enter(der::kSequence));
    TACIT_TRY(const auto serial, entry.take(der::kInteger));
    if (serial.content.empty() || serial.content.size() > 32)
      return fail(Code::malformed, "serial number in a revocation list");
    TACIT_CHECK(entry.time());
    if (!entry.done()) {
      TACIT_TRY(const auto inner, entry.take(der::kSequence));
      Reader items{inner.whole};
      TACIT_TRY(const auto all, extensions(inner.whole));
      for (const auto& extension : all)  // such as certificateIssuer, of an indirect list
        if (extension.critical) return fail(Code::unsupported, "critical entry extension of a CRL");
      if (!entry.done()) return fail(Code::malformed, "entry of a revocation list");
    }
    out.revoked.push_back(serial.content);
  }
  std::ranges::sort(out.revoked, less);
  return {};
}

}  // namespace

bool Crl::revokes(BytesView serial) const {
  return std::ranges::binary_search(revoked, serial, less);
}

Result<CrlPtr> parse_crl(BytesView bytes) {
  if (bytes.size() > kCrlBytesMax)
    return fail(Error{Code::too_large, "revocation list"}.with("limit", kCrlBytesMax));
  auto out = std::make_shared<Crl>();
  out->der.assign(bytes.begin(), bytes.end());
  Reader outer{out->der};
  TACIT_TRY(auto all, outer.enter(der::kSequence));
  TACIT_TRY(const auto tbs, all.take(der::kSequence));
  out->tbs = tbs.whole;
  TACIT_TRY(const auto outer_scheme, algorithm(all));
  TACIT_TRY(out->signature, all.octet_bits());
  if (!all.done() || !outer.done()) return fail(Code::malformed, "bytes after a revocation list");
  Reader in{tbs.content};
  TACIT_TRY(const auto version, in.small_integer());
  if (version != 1) return fail(Code::unsupported, "version of a revocation list");
  TACIT_TRY(out->scheme, algorithm(in));
  if (out->scheme != outer_scheme) return fail(Code::malformed, "CRL with two algorithms");
  TACIT_TRY(const auto issuer, in.take(der::kSequence));
  out->issuer = issuer.whole;
  TACIT_TRY(out->this_update, in.time());
  TACIT_TRY(out->next_update, in.time());
  if (in.next_is(der::kSequence)) {
    TACIT_TRY(const auto list, in.enter(der::kSequence));
    TACIT_CHECK(parse_revoked(*out, list));
  }
  if (in.next_is(der::context(0))) {
    TACIT_TRY(const auto wrapped, in.take(der::context(0)));
    TACIT_TRY(const auto found, extensions(wrapped.content));
    for (const auto& extension : found)  // deltaCRLIndicator and issuingDistributionPoint are
      if (extension.critical) return fail(Code::unsupported, "critical extension of a CRL");
  }
  if (!in.done()) return fail(Code::malformed, "revocation list with more fields");
  return CrlPtr{std::move(out)};
}

namespace {

// Takes one line without its end ("\n" or "\r\n"); false when there is no end.
bool take_line(std::string_view& rest, std::string_view& line) {
  const auto end = rest.find('\n');
  if (end == std::string_view::npos) {
    line = rest;
    rest = {};
    return !line.empty();
  }
  line = rest.substr(0, end);
  if (line.ends_with('\r')) line.remove_suffix(1);
  rest.remove_prefix(end + 1);
  return true;
}

}  // namespace

Result<std::vector<PemBlock>> parse_pem(std::string_view text) {
  constexpr std::string_view kBegin = "-----BEGIN ";
  constexpr std::string_view kEnd = "-----END ";
  constexpr std::string_view kDashes = "-----";
  if (text.ends_with('\0')) text.remove_suffix(1);
  std::vector<PemBlock> blocks;
  std::string_view line;
  while (take_line(text, line)) {
    if (line.empty()) continue;
    if (!line.starts_with(kBegin) || !line.ends_with(kDashes) || line.size() < 17)
      return fail(Code::malformed, "text outside of PEM blocks");
    if (blocks.size() == kPemBlocksMax)
      return fail(Error{Code::too_large, "number of PEM blocks"}.with("limit", kPemBlocksMax));
    const auto label = line.substr(kBegin.size(), line.size() - kBegin.size() - kDashes.size());
    std::string body;
    bool ended = false;
    while (take_line(text, line)) {
      if (line.starts_with(kEnd)) {
        if (line.size() != kEnd.size() + label.size() + kDashes.size() ||
            line.substr(kEnd.size(), label.size()) != label || !line.ends_with(kDashes))
          return fail(Code::malformed, "PEM block ends with another label");
        ended = true;
        break;
      }
      if (line.empty() || body.size() + line.size() > 2 * kCrlBytesMax)
        return fail(Code::malformed, "PEM block");
      body += line;
    }
    auto bytes = ended ? from_base64(body) : std::nullopt;
    if (!bytes) return fail(Code::malformed, "PEM block");
    blocks.push_back({std::string{label}, *std::move(bytes)});
  }
  return blocks;
}

Result<std::vector<PemBlock>> parse_certificate_blocks(std::string_view pem) {
  TACIT_TRY(auto blocks, parse_pem(pem));
  if (blocks.empty() || blocks.size() > kChainLengthMax)
    return fail(Error{Code::malformed, "number of certificates in a chain"}
                    .with("certificates", static_cast<std::int64_t>(blocks.size()))
                    .with("limit", kChainLengthMax));
  for (const auto& block : blocks)
    if (block.label != "CERTIFICATE") return fail(Code::malformed, "PEM block of another kind");
  return blocks;
}

Result<std::vector<CertificatePtr>> parse_certificate_chain(std::string_view pem) {
  TACIT_TRY(const auto blocks, parse_certificate_blocks(pem));
  std::vector<CertificatePtr> chain;
  for (const auto& block : blocks) {
    TACIT_TRY(auto certificate, parse_certificate(block.der));
    chain.push_back(std::move(certificate));
  }
  return chain;
}

std::string format_time(UnixTime time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss clock{time - day};
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02dZ", int{date.year()},
                unsigned{date.month()}, unsigned{date.day()}, int(clock.hours().count()),
                int(clock.minutes().count()), int(clock.seconds().count()));
  return text.data();
}

Result<UnixTime> parse_time(std::string_view text) {
  // 2026-03-01T00:00:00Z, turned into what DER's GeneralizedTime writes.
  if (text.size() != 20 || text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' ||
      text[16] != ':')
    return fail(Error{Code::malformed, "this is no time"}.fix("write it as 2026-03-01T12:00:00Z"));
  std::string element{"\x18\x0f"};
  for (const auto c : text)
    if (c != '-' && c != 'T' && c != ':') element += c;
  Reader in{as_bytes(element)};
  auto time = in.time();
  if (!time || !in.done())
    return fail(Error{Code::malformed, "this is no time"}.fix("write it as 2026-03-01T12:00:00Z"));
  return time;
}

}  // namespace tacit::attest
