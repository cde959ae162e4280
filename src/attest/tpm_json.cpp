#include "attest/tpm_json.hpp"

#include <algorithm>

#include "attest/checks.hpp"
#include "core/text.hpp"

namespace tacit::attest {
namespace {

namespace json = boost::json;

constexpr std::size_t kNumbersMax = 64 * 1024;

std::optional<Bytes> from_numbers(const json::array& list) {
  if (list.size() > kNumbersMax) return std::nullopt;
  Bytes out;
  for (const auto& one : list) {
    if (!one.is_int64() || one.get_int64() < 0 || one.get_int64() > 255) return std::nullopt;
    out.push_back(static_cast<std::byte>(one.get_int64()));
  }
  return out;
}

std::optional<Bytes> from_base64url(std::string_view text) {
  std::string standard{text};
  std::ranges::replace(standard, '-', '+');
  std::ranges::replace(standard, '_', '/');
  while (standard.size() % 4 != 0) standard += '=';
  return from_base64(standard);
}

}  // namespace

std::optional<Bytes> tpm_json_bytes(const json::value& value) {
  if (const auto* list = value.if_array()) return from_numbers(*list);
  const auto* text = value.if_string();
  if (text == nullptr) return std::nullopt;
  const std::string_view view{text->data(), text->size()};
  if (auto bytes = from_hex(view)) return bytes;
  return from_base64url(view);
}

Result<TpmJsonQuote> read_tpm_json(const json::object& object) {
  const auto member = [&](std::string_view name) {
    const auto* value = object.if_contains(name);
    return value == nullptr ? std::nullopt : tpm_json_bytes(*value);
  };
  auto message = member("message");
  auto signature = member("signature");
  const auto* pcrs = array_member(object, "pcrs");
  if (!message || !signature || pcrs == nullptr || pcrs->size() != kTpmPcrs)
    return fail(Code::malformed, "TPM quote in JSON");
  TpmJsonQuote out{*std::move(message), *std::move(signature), {}};
  for (const auto& one : *pcrs) {
    auto value = tpm_json_bytes(one);
    if (!value || value->size() != 32) return fail(Code::malformed, "PCR in JSON");
    out.pcrs.push_back(*std::move(value));
  }
  return out;
}

bool check_tpm_quote(const TpmJsonQuote& quote, const crypto::VerifyingKey& key,
                     const Context& context, Appraisal& out) {
  const auto parsed = parse_tpm_quote(quote.message);
  if (!parsed) {
    out.reject("format", "a well-formed TPM quote", parsed.error());
    return false;
  }
  if (!verify_tpm_quote(*parsed, quote.signature, key)) {
    out.reject("tpm-signature", "a quote signed by the TPM's attestation key",
               "its signature does not verify");
    return false;
  }
  if (parsed->selections.size() != 1 || parsed->selections[0].hash != kTpmSha256 ||
      !matches_pcrs(*parsed, quote.pcrs)) {
    out.reject("tpm-pcrs", "PCRs of the SHA-256 bank that hash to the quoted digest", "others");
    return false;
  }
  check_nonce(parsed->extra_data, context, out);
  std::vector<std::string> names;
  names.reserve(kTpmPcrs);
  NamedViews values;
  for (const auto i : parsed->selections[0].pcrs) {
    names.push_back("pcr" + std::to_string(i));
    values.emplace_back(names.back(), quote.pcrs[i]);
    out.claim(names.back(), quote.pcrs[i], Source::hardware);
  }
  static constexpr std::array<std::string_view, 5> kCode{"pcr4", "pcr8", "pcr9", "pcr11", "pcr12"};
  if (!context.policy.tpm.values.empty())
    check_values(context.policy.tpm.values, values, kCode, context, out);
  return true;
}

}  // namespace tacit::attest
