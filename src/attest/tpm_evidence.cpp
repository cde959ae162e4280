#include "attest/tpm_evidence.hpp"

#include <algorithm>
#include <array>
#include <map>

#include "attest/checks.hpp"
#include "attest/event_log_check.hpp"
#include "attest/json.hpp"
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

Result<TpmSignedQuote> read_tpm_json(const json::object& object) {
  const auto member = [&](std::string_view name) {
    const auto* value = object.if_contains(name);
    return value == nullptr ? std::nullopt : tpm_json_bytes(*value);
  };
  auto message = member("message");
  auto signature = member("signature");
  const auto* pcrs = array_member(object, "pcrs");
  if (!message || !signature || pcrs == nullptr || pcrs->size() != kTpmPcrs)
    return fail(Code::malformed, "TPM quote in JSON");
  TpmSignedQuote out{*std::move(message), *std::move(signature), {}};
  for (const auto& one : *pcrs) {
    auto value = tpm_json_bytes(one);
    if (!value || value->size() != 32) return fail(Code::malformed, "PCR in JSON");
    out.pcrs.push_back(*std::move(value));
  }
  return out;
}

namespace {

// The quotes of one TPM, as checked so far.
struct Checked {
  std::vector<std::string> names;  // that `values` borrow
  NamedViews values;
  std::vector<QuotedRegisters> registers;
};

std::string suffix_of(std::uint16_t bank) {
  switch (bank) {
    case kTpmSha1: return "_sha1";
    case kTpmSha384: return "_sha384";
    case kTpmSha512: return "_sha512";
    default: break;
  }
  return "";
}

void add_values(const PcrSelection& selection, const TpmSignedQuote& quote, Checked& all,
                Appraisal& out) {
  QuotedRegisters registers{QuotedRegisters::Of::tpm, selection.hash, {}};
  for (const auto i : selection.pcrs) {
    const BytesView value{quote.pcrs[i]};
    registers.values.emplace(i, value);
    auto name = "pcr" + std::to_string(i) + suffix_of(selection.hash);
    out.claim(name, value, Source::hardware);
    all.names.push_back(std::move(name));
    all.values.emplace_back(std::string_view{}, value);
  }
  all.registers.push_back(std::move(registers));
}

bool check_one(const TpmSignedQuote& quote, const crypto::VerifyingKey& key, const Context& context,
               Checked& all, Appraisal& out) {
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
  if (parsed->selections.size() != 1 || !is_tpm_bank(parsed->selections[0].hash)) {
    out.reject("tpm-pcrs", "a quote of one bank", "one of several, or of none that is used here");
    return false;
  }
  const auto& selection = parsed->selections[0];
  if (std::ranges::all_of(quote.pcrs, &Bytes::empty)) {
    out.cannot_tell("tpm-pcrs", "the values of the quoted PCRs", "none were given");
    return true;
  }
  if (!matches_pcrs(*parsed, quote.pcrs)) {
    out.reject("tpm-pcrs", "PCRs that hash to the quoted digest", "others");
    return false;
  }
  if (context.nonce && !equal(*context.nonce, parsed->extra_data))
    out.reject("nonce", to_hex(*context.nonce),
               parsed->extra_data.empty() ? "none" : to_hex(parsed->extra_data));
  if (selection.hash == kTpmSha1 && !context.policy.tpm.sha1) {
    out.claim("sha1_bank", "ignored", Source::derived);
    return true;
  }
  add_values(selection, quote, all, out);
  return true;
}

}  // namespace

bool check_tpm_quotes(const TpmParts& parts, const crypto::VerifyingKey& key,
                      const Context& context, Appraisal& out) {
  Checked all;
  for (const auto& quote : parts.quotes)
    if (!check_one(quote, key, context, all, out)) return false;
  for (std::size_t i = 0; i < all.names.size(); ++i) all.values[i].first = all.names[i];
  check_freshness_asked(context, out);
  if (all.registers.empty() && out.reasons().empty()) {
    out.reject("tpm-pcrs", "a bank of SHA-256 or better", "only SHA-1, which the policy refuses");
    return false;
  }
  check_event_logs(all.registers, parts.log, context, out);
  static constexpr std::array<std::string_view, 10> kCode{
      "pcr4",        "pcr8",        "pcr9",        "pcr11",        "pcr12",
      "pcr4_sha384", "pcr8_sha384", "pcr9_sha384", "pcr11_sha384", "pcr12_sha384"};
  if (!context.policy.tpm.values.empty())
    check_values(context.policy.tpm.values, all.values, kCode, context, out);
  return true;
}

}  // namespace tacit::attest
