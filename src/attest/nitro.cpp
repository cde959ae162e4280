#include "attest/nitro.hpp"

#include <algorithm>
#include <array>

#include "attest/cbor.hpp"
#include "attest/checks.hpp"
#include "attest/oids.hpp"
#include "attest/roots.hpp"
#include "core/text.hpp"
#include "core/time.hpp"

namespace tacit::attest {
namespace {

// An array of four that begins with the protected header {alg: ES384}.
constexpr auto kHead = oid::bytes(0x84, 0x44, 0xa1, 0x01, 0x38, 0x22);
constexpr std::uint8_t kSign1Tag = 0xd2;
constexpr std::size_t kMembersMax = 16;
constexpr unsigned kPcrsMax = 32;

bool starts_with(BytesView bytes, BytesView head) {
  return bytes.size() >= head.size() && equal(bytes.first(head.size()), head);
}

Result<void> read_pcrs(CborReader& in, NitroDocument& out) {
  TACIT_TRY(const auto size, in.begin_map());
  for (std::size_t i = 0; size ? i < *size : !in.at_end(); ++i) {
    TACIT_TRY(const auto index, in.unsigned_integer());
    TACIT_TRY(const auto value, in.byte_string());
    if (index >= kPcrsMax || value.size() != 48 ||
        !out.pcrs.emplace(static_cast<unsigned>(index), value).second)
      return fail(Code::malformed, "PCR of a Nitro document");
  }
  return {};
}

Result<void> read_bundle(CborReader& in, std::vector<BytesView>& out) {
  TACIT_TRY(const auto size, in.begin_array());
  for (std::size_t i = 0; size ? i < *size : !in.at_end(); ++i) {
    TACIT_TRY(const auto certificate, in.byte_string());
    if (i + 1 >= kChainLengthMax) return fail(Code::too_large, "certificates of a Nitro document");
    out.push_back(certificate);
  }
  std::ranges::reverse(out);  // written with the root first
  return {};
}

Result<void> read_member(CborReader& in, std::string_view name, NitroDocument& out,
                         BytesView& leaf) {
  if (name == "module_id") {
    TACIT_TRY(const auto text, in.text());
    out.module_id = printable(text);
  } else if (name == "digest") {
    TACIT_TRY(const auto text, in.text());
    if (text != "SHA384") return fail(Code::unsupported, "digest of a Nitro document");
  } else if (name == "timestamp") {
    TACIT_TRY(out.timestamp_ms, in.unsigned_integer());
  } else if (name == "pcrs") {
    TACIT_CHECK(read_pcrs(in, out));
  } else if (name == "certificate") {
    TACIT_TRY(leaf, in.byte_string());
  } else if (name == "cabundle") {
    TACIT_CHECK(read_bundle(in, out.chain));
  } else {
    BytesView* const field = name == "public_key"  ? &out.public_key
                             : name == "user_data" ? &out.user_data
                             : name == "nonce"     ? &out.nonce
                                                   : nullptr;
    if (field == nullptr) return fail(Code::malformed, "member of a Nitro document");
    TACIT_TRY(const auto value, in.optional_byte_string());
    if (value) *field = *value;
  }
  return {};
}

Result<void> read_payload(NitroDocument& out) {
  CborReader in{out.payload};
  TACIT_TRY(const auto size, in.begin_map());
  std::vector<std::string_view> seen;
  BytesView leaf;
  for (std::size_t i = 0; size ? i < *size : !in.at_end(); ++i) {
    TACIT_TRY(const auto name, in.text());
    if (i == kMembersMax || std::ranges::find(seen, name) != seen.end())
      return fail(Code::malformed, "members of a Nitro document");
    seen.push_back(name);
    TACIT_CHECK(read_member(in, name, out, leaf));
  }
  if (!in.done()) return fail(Code::malformed, "bytes after the payload of a Nitro document");
  for (const std::string_view name :
       {"module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle"})
    if (std::ranges::find(seen, name) == seen.end())
      return fail(Code::malformed, "Nitro document is incomplete");
  out.chain.insert(out.chain.begin(), leaf);
  return {};
}

// Sig_structure (RFC 9052, section 4.4): ["Signature1", protected, external_aad, payload].
Bytes signed_bytes(BytesView payload) {
  ByteWriter out;
  out.u8(0x84);
  out.u8(0x6a);
  out.raw("Signature1");
  out.raw(BytesView{kHead}.subspan(1));
  out.u8(0x40);
  if (payload.size() < 0x10000) {
    out.u8(0x59);
    out.u16_be(static_cast<std::uint16_t>(payload.size()));
  } else {
    out.u8(0x5a);
    out.u32_be(static_cast<std::uint32_t>(payload.size()));
  }
  out.raw(payload);
  return std::move(out).take();
}

std::optional<crypto::VerifyingKey> check_chain(const NitroDocument& document,
                                                const Context& context, Appraisal& out) {
  std::vector<CertificatePtr> chain;
  for (const auto der : document.chain) {
    auto certificate = parse_certificate(der);
    if (!certificate) {
      out.reject("nitro-chain", "well-formed certificates", certificate.error());
      return std::nullopt;
    }
    chain.push_back(*std::move(certificate));
  }
  if (!chain_to_root(chain, *root_certificate(RootId::aws_nitro), {context.now}, context.memory,
                     "nitro-chain", out))
    return std::nullopt;
  if (chain[0]->is_ca || !chain[0]->may_sign_data()) {
    out.reject("nitro-chain", "an enclave's certificate that may sign", "it may not");
    return std::nullopt;
  }
  return chain[0]->key;
}

UnixTime check_time(const NitroDocument& document, const Context& context, Appraisal& out) {
  const UnixTime made{Seconds{static_cast<std::int64_t>(document.timestamp_ms / 1000)}};
  out.claim("timestamp", format_time(made), Source::hardware);
  if (made > context.now)
    out.reject("nitro-time", "a document made before " + format_time(context.now),
               format_time(made));
  return made;
}

void check_debug(const NitroDocument& document, const Context& context, Appraisal& out) {
  const bool debug = std::ranges::any_of(std::array{0U, 1U, 2U}, [&](unsigned i) {
    const auto at = document.pcrs.find(i);
    return at == document.pcrs.end() || all_zero(at->second);
  });
  if (!debug) return;
  if (!context.policy.nitro.debug)
    out.reject("debug", "PCR0, PCR1 and PCR2 that measure the enclave",
               "zeros: the enclave runs in debug mode");
  out.warn("debug", "This enclave can be debugged: its parent instance may read its console.");
}

class NitroEvidence final : public Evidence {
 public:
  NitroEvidence(BytesView bytes, bool framed)
      : bytes_{bytes.begin(), bytes.end()}, framed_{framed} {}
  std::string_view kind() const override { return "nitro"; }
  void appraise(const Context& context, Appraisal& out) const override {
    const auto document = parse_nitro(bytes_);
    if (!document || document->size != bytes_.size()) {
      out.reject(
          "format", "a Nitro attestation document and nothing after it",
          document ? Error{Code::malformed, "bytes after a Nitro document"} : document.error());
      return;
    }
    judge(*document, context, out);
  }

 private:
  void judge(const NitroDocument& document, const Context& context, Appraisal& out) const {
    const auto key = check_chain(document, context, out);
    if (!key) return;
    if (key->kind() != crypto::KeyKind::ecdsa_p384 ||
        !key->verify(crypto::SignatureScheme::ecdsa_sha384_raw, signed_bytes(document.payload),
                     document.signature)) {
      out.reject("document-signature", "a document signed by the enclave's certificate",
                 "its signature does not verify");
      return;
    }
    out.claim("module_id", document.module_id, Source::hardware);
    const auto made = check_time(document, context, out);
    std::vector<std::string> names;
    names.reserve(kPcrsMax);
    NamedViews values;
    for (const auto& [index, value] : document.pcrs) {
      names.push_back("pcr" + std::to_string(index));
      values.emplace_back(names.back(), value);
    }
    values.emplace_back("public_key", document.public_key);
    values.emplace_back("user_data", document.user_data);
    values.emplace_back("nonce", document.nonce);
    for (const auto& [name, value] : values)
      if (!value.empty() && !(name.starts_with("pcr") && all_zero(value)))
        out.claim(std::string{name}, value, Source::hardware);
    check_debug(document, context, out);
    check_nonce(document.nonce, context, out, made);
    if (context.report_data && !equal(*context.report_data, document.user_data))
      out.reject("report-data", to_hex(*context.report_data), to_hex(document.user_data));
    static constexpr std::array<std::string_view, 1> kCode{"pcr0"};
    check_values(context.policy.nitro.values, values, kCode, context, out);
    if (framed_)
      out.warn("unsigned-frame",
               "The file holds more than the signed document; what is around it was ignored.");
    out.complete();
  }

  Bytes bytes_;
  bool framed_;
};

// The document inside of the frame in which some tools store it: two bytes, a length in the compact
// form of SCALE with two bytes, the document, and something else.
std::optional<BytesView> framed_document(BytesView bytes) {
  if (bytes.size() < 4 + kHead.size() || !starts_with(bytes.subspan(4), kHead)) return std::nullopt;
  const auto length =
      std::to_integer<std::size_t>(bytes[2]) | std::to_integer<std::size_t>(bytes[3]) << 8U;
  if (bytes[0] != std::byte{0} || bytes[1] != std::byte{2} || (length & 3U) != 1 ||
      bytes.size() - 4 < length >> 2U)
    return std::nullopt;
  return bytes.subspan(4, length >> 2U);
}

}  // namespace

Result<NitroDocument> parse_nitro(BytesView bytes) {
  const std::size_t tag = !bytes.empty() && bytes[0] == std::byte{kSign1Tag} ? 1 : 0;
  if (!starts_with(bytes.subspan(tag), kHead))
    return fail(Code::unsupported, "COSE message that is not signed with ES384");
  CborReader in{bytes.subspan(tag + kHead.size())};
  NitroDocument out;
  TACIT_TRY(const auto unprotected, in.begin_map());
  if (unprotected != 0U) return fail(Code::malformed, "unprotected header of a Nitro document");
  TACIT_TRY(out.payload, in.byte_string());
  TACIT_TRY(out.signature, in.byte_string());
  if (out.signature.size() != 96) return fail(Code::malformed, "signature of a Nitro document");
  out.size = tag + kHead.size() + in.offset();
  TACIT_CHECK(read_payload(out));
  return out;
}

std::optional<Result<std::vector<EvidencePtr>>> find_nitro(const Document& document) {
  const auto bytes = document.bytes;
  const bool tagged = !bytes.empty() && bytes[0] == std::byte{kSign1Tag};
  std::vector<EvidencePtr> all;
  if (starts_with(bytes.subspan(tagged ? 1 : 0), kHead)) {
    all.push_back(std::make_unique<NitroEvidence>(bytes, false));
    return all;
  }
  const auto inner = framed_document(bytes);
  if (!inner) return std::nullopt;
  all.push_back(std::make_unique<NitroEvidence>(*inner, true));
  return all;
}

}  // namespace tacit::attest
