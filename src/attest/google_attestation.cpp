#include "attest/google_attestation.hpp"

#include <algorithm>

#include "attest/json.hpp"
#include "attest/protobuf.hpp"
#include "attest/tpm_evidence.hpp"
#include "core/text.hpp"

namespace tacit::attest {
namespace {

namespace json = boost::json;

constexpr std::size_t kQuotesMax = 8;

std::unexpected<Error> malformed() {
  return fail(Code::malformed, "attestation of Google's tools");
}

Result<void> add_certificate(BytesView der, TpmParts& out) {
  if (out.certificates.size() == kChainLengthMax)
    return fail(
        Error{Code::too_large, "certificates of an attestation"}.with("limit", kChainLengthMax));
  TACIT_TRY(auto certificate, parse_certificate(der));
  out.certificates.push_back(std::move(certificate));
  return {};
}

Result<void> set_pcr(std::uint64_t number, BytesView value, TpmSignedQuote& out) {
  if (number >= kTpmPcrs || value.empty() || value.size() > 64 || !out.pcrs[number].empty())
    return malformed();
  out.pcrs[number].assign(value.begin(), value.end());
  return {};
}

// An entry of map<uint32, bytes>; the default value of a key is zero.
Result<void> read_pcr(BytesView entry, TpmSignedQuote& out) {
  ProtobufReader in{entry};
  std::uint64_t number = 0;
  BytesView value;
  while (!in.done()) {
    TACIT_TRY(const auto field, in.next());
    if (field.number == 1 && !field.is_bytes)
      number = field.value;
    else if (field.number == 2 && field.is_bytes)
      value = field.bytes;
    else
      return malformed();
  }
  return set_pcr(number, value, out);
}

Result<TpmSignedQuote> read_quote(BytesView bytes) {
  TpmSignedQuote out{{}, {}, std::vector<Bytes>(kTpmPcrs)};
  ProtobufReader in{bytes};
  while (!in.done()) {
    TACIT_TRY(const auto field, in.next());
    if (!field.is_bytes) return malformed();
    if (field.number == 1) {
      out.message.assign(field.bytes.begin(), field.bytes.end());
    } else if (field.number == 2) {
      out.signature.assign(field.bytes.begin(), field.bytes.end());
    } else if (field.number == 3) {
      ProtobufReader pcrs{field.bytes};
      while (!pcrs.done()) {
        TACIT_TRY(const auto pcr, pcrs.next());
        if (pcr.number == 1 && !pcr.is_bytes) continue;  // the bank: the quote itself says it
        if (pcr.number != 2 || !pcr.is_bytes) return malformed();
        TACIT_CHECK(read_pcr(pcr.bytes, out));
      }
    } else {
      return malformed();
    }
  }
  return out;
}

Result<void> read_field(const ProtobufField& field, TpmParts& out) {
  switch (field.number) {
    case 1: {
      TACIT_TRY(out.own_key, parse_tpm_public(field.bytes));
      return {};
    }
    case 2: {
      if (out.quotes.size() == kQuotesMax) return malformed();
      TACIT_TRY(auto quote, read_quote(field.bytes));
      out.quotes.push_back(std::move(quote));
      return {};
    }
    case 3: {
      TACIT_TRY(out.log, parse_event_log(field.bytes));
      return {};
    }
    case 6: {
      TACIT_TRY(auto certificate, parse_certificate(field.bytes));
      out.certificates.insert(out.certificates.begin(), std::move(certificate));
      return {};
    }
    case 7: return add_certificate(field.bytes, out);
    case 4:
    case 5: return {};  // what the instance is called, and a log in another form: not signed
    default: break;
  }
  // A hardware report inside: what it says must not be passed over in silence.
  return fail(Error{Code::unsupported, "hardware report in an attestation of Google's tools"}.fix(
      "give the report as a file of its own"));
}

// Begins with the key: field 1, a TPMT_PUBLIC of an RSA or elliptic key.
bool is_attestation(BytesView bytes) {
  ProtobufReader in{bytes};
  const auto first = in.next();
  if (!first || first->number != 1 || !first->is_bytes || first->bytes.size() < 16) return false;
  ByteReader key{first->bytes};
  const auto algorithm = key.u16_be();
  const auto hash = key.u16_be();
  return (algorithm == 0x0001 || algorithm == 0x0023) && hash && *hash >= 4 && *hash <= 0x0d;
}

Result<TpmParts> from_protobuf(BytesView bytes) {
  TpmParts out;
  ProtobufReader in{bytes};
  while (!in.done()) {
    TACIT_TRY(const auto field, in.next());
    if (!field.is_bytes) return malformed();
    TACIT_CHECK(read_field(field, out));
  }
  return out;
}

std::optional<Bytes> hex_of(const json::object& object, std::string_view name) {
  const auto text = text_member(object, name);
  return text ? from_hex(*text) : std::nullopt;
}

Result<TpmSignedQuote> quote_from_json(const json::value& value) {
  const auto* object = value.if_object();
  const auto* pcrs = object == nullptr ? nullptr : object_member(*object, "pcrs");
  if (pcrs == nullptr) return malformed();
  auto message = hex_of(*object, "tpms_attest");
  auto signature = hex_of(*object, "tpmt_signature");
  if (!message || !signature) return malformed();
  TpmSignedQuote out{*std::move(message), *std::move(signature), std::vector<Bytes>(kTpmPcrs)};
  for (const auto& [key, pcr] : *pcrs) {
    const auto number = parse_u64({key.data(), key.size()});
    const auto bytes = hex_of(*pcrs, {key.data(), key.size()});
    if (!number || !bytes) return malformed();
    TACIT_CHECK(set_pcr(*number, *bytes, out));
  }
  return out;
}

Result<TpmParts> from_json(const json::object& object) {
  TpmParts out;
  const auto key = hex_of(object, "ak_public_tpmt");
  const auto* quotes = array_member(object, "quotes");
  if (!key || quotes == nullptr || quotes->empty() || quotes->size() > kQuotesMax)
    return malformed();
  TACIT_TRY(out.own_key, parse_tpm_public(*key));
  for (const auto& one : *quotes) {
    TACIT_TRY(auto quote, quote_from_json(one));
    out.quotes.push_back(std::move(quote));
  }
  if (object.contains("event_log")) {
    const auto log = hex_of(object, "event_log");
    if (!log) return malformed();
    TACIT_TRY(out.log, parse_event_log(*log));
  }
  if (object.contains("ak_certificate_der")) {
    const auto der = hex_of(object, "ak_certificate_der");
    if (!der) return malformed();
    TACIT_CHECK(add_certificate(*der, out));
  }
  if (const auto* more = array_member(object, "intermediate_certificates_der")) {
    for (const auto& one : *more) {
      const auto* text = one.if_string();
      const auto der =
          text == nullptr ? std::nullopt : from_hex(std::string_view{text->data(), text->size()});
      if (!der) return malformed();
      TACIT_CHECK(add_certificate(*der, out));
    }
  }
  return out;
}

std::vector<EvidencePtr> one_piece(TpmParts parts) {
  std::vector<EvidencePtr> all;
  all.push_back(std::make_unique<TpmEvidence>(std::move(parts)));
  return all;
}

}  // namespace

Result<std::uint64_t> ProtobufReader::varint() {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    TACIT_TRY(const auto byte, in_.u8());
    if (shift == 63 && byte > 1) break;
    value |= std::uint64_t{byte & 0x7fU} << shift;
    if ((byte & 0x80U) == 0) return value;
  }
  return fail(Code::malformed, "number in a protocol buffer");
}

Result<ProtobufField> ProtobufReader::next() {
  TACIT_TRY(const auto tag, varint());
  if (tag >> 3U == 0 || tag >> 3U > 0x1fffffff)
    return fail(Code::malformed, "field of a protocol buffer");
  ProtobufField out{static_cast<std::uint32_t>(tag >> 3U), (tag & 7U) == 2, 0, {}};
  TACIT_TRY(out.value, varint());
  if (out.is_bytes) {
    TACIT_TRY(out.bytes, in_.take(static_cast<std::size_t>(out.value)));
  } else if ((tag & 7U) != 0) {
    return fail(Code::unsupported, "kind of field in a protocol buffer");
  }
  return out;
}

std::optional<Result<std::vector<EvidencePtr>>> find_google_attestation(const Document& document) {
  if (is_attestation(document.bytes)) {
    TACIT_TRY(auto parts, from_protobuf(document.bytes));
    return one_piece(std::move(parts));
  }
  if (!document.is_json) return std::nullopt;
  const auto value = parse_json(as_text(document.raw));
  if (!value || !value->is_object()) return std::nullopt;
  if (!value->get_object().contains("ak_public_tpmt")) return std::nullopt;
  TACIT_TRY(auto parts, from_json(value->get_object()));
  return one_piece(std::move(parts));
}

}  // namespace tacit::attest
