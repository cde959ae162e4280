#include "attest/collateral.hpp"

#include <algorithm>

#include "attest/json.hpp"
#include "core/text.hpp"

namespace tacit::attest {
namespace {

namespace json = boost::json;

Result<void> add_pem(Collateral& out, std::string_view text) {
  TACIT_TRY(const auto blocks, parse_pem(text));
  for (const auto& block : blocks) {
    if (block.label == "CERTIFICATE") {
      TACIT_TRY(auto certificate, parse_certificate(block.der));
      out.certificates.push_back(std::move(certificate));
    } else if (block.label == "X509 CRL") {
      TACIT_TRY(auto crl, parse_crl(block.der));
      out.crls.push_back(std::move(crl));
    } else {
      return fail(Code::malformed, "PEM block of another kind");
    }
  }
  return {};
}

// A revocation list as JSON collateral writes it: hexadecimal or base64 DER, or PEM.
Result<void> add_crl_text(Collateral& out, std::string_view text) {
  if (text.starts_with("-----BEGIN")) return add_pem(out, text);
  auto der = from_hex(text);
  if (!der) der = from_base64(text);
  if (!der) return fail(Code::malformed, "revocation list in JSON");
  TACIT_TRY(auto crl, parse_crl(*der));
  out.crls.push_back(std::move(crl));
  return {};
}

Result<std::vector<CertificatePtr>> chain_member(const json::object& object,
                                                 std::string_view name) {
  const auto text = text_member(object, name);
  if (!text) return std::vector<CertificatePtr>{};
  return parse_certificate_chain(*text);
}

Result<Bytes> signature_of(std::optional<std::string_view> hex) {
  auto bytes = hex ? from_hex(*hex) : std::nullopt;
  if (!bytes || bytes->size() != 64) return fail(Code::malformed, "signature of Intel's statement");
  return *std::move(bytes);
}

// {"tcbInfo":{...},"signature":"..."} or {"enclaveIdentity":{...},"signature":"..."}: Intel signs
// the member's text as it stands there.
Result<void> add_pcs(Collateral& out, const json::object& object, std::string_view text) {
  TACIT_TRY(auto signature, signature_of(text_member(object, "signature")));
  if (const auto member = raw_member(text, "tcbInfo")) {
    TACIT_TRY(auto info, parse_tcb_info(*member));
    info.signature = std::move(signature);
    out.tcb_infos.push_back(std::make_shared<const TcbInfo>(std::move(info)));
    return {};
  }
  const auto member = raw_member(text, "enclaveIdentity");
  if (!member) return fail(Code::malformed, "response of Intel's service");
  TACIT_TRY(auto identity, parse_qe_identity(*member));
  identity.signature = std::move(signature);
  out.qe_identities.push_back(std::make_shared<const QeIdentity>(std::move(identity)));
  return {};
}

// The shape of quote collateral that libraries exchange (after sgx_ql_qve_collateral_t).
Result<void> add_quote_collateral(Collateral& out, const json::object& object) {
  if (const auto text = text_member(object, "tcb_info")) {
    TACIT_TRY(auto info, parse_tcb_info(*text));
    TACIT_TRY(info.signature, signature_of(text_member(object, "tcb_info_signature")));
    TACIT_TRY(info.issuer_chain, chain_member(object, "tcb_info_issuer_chain"));
    out.tcb_infos.push_back(std::make_shared<const TcbInfo>(std::move(info)));
  }
  if (const auto text = text_member(object, "qe_identity")) {
    TACIT_TRY(auto identity, parse_qe_identity(*text));
    TACIT_TRY(identity.signature, signature_of(text_member(object, "qe_identity_signature")));
    TACIT_TRY(identity.issuer_chain, chain_member(object, "qe_identity_issuer_chain"));
    out.qe_identities.push_back(std::make_shared<const QeIdentity>(std::move(identity)));
  }
  for (const auto* const name : {"root_ca_crl", "pck_crl"})
    if (const auto text = text_member(object, name)) TACIT_CHECK(add_crl_text(out, *text));
  TACIT_TRY(const auto chain, chain_member(object, "pck_crl_issuer_chain"));
  out.certificates.insert(out.certificates.end(), chain.begin(), chain.end());
  return {};
}

std::size_t num_items(const Collateral& c) {
  return c.certificates.size() + c.crls.size() + c.tcb_infos.size() + c.qe_identities.size() +
         c.rims.size() + c.event_logs.size();
}

Result<void> add_recognised(Collateral& out, BytesView bytes, bool named) {
  auto text = as_text(bytes);
  while (text.starts_with('#'))  // comments before PEM, as people write them
    text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
  if (text.starts_with("-----BEGIN ")) return add_pem(out, text);
  if (is_event_log(bytes)) {
    TACIT_TRY(auto log, parse_event_log(bytes));
    out.event_logs.push_back(std::move(log));
    return {};
  }
  if (is_rim(bytes)) {
    TACIT_TRY(auto rim, parse_rim(bytes));
    rim.named = named;
    out.rims.push_back(std::make_shared<const Rim>(std::move(rim)));
    return {};
  }
  while (!text.empty() && std::string_view{" \t\r\n"}.contains(text.back())) text.remove_suffix(1);
  if (text.starts_with('{')) {
    TACIT_TRY(const auto value, parse_json(text));
    const auto& object = value.get_object();
    if (object.contains("tcbInfo") || object.contains("enclaveIdentity"))
      return add_pcs(out, object, text);
    if (object.contains("tcb_info") || object.contains("qe_identity"))
      return add_quote_collateral(out, object);
  } else if (!bytes.empty() && bytes[0] == std::byte{0x30}) {
    if (auto certificate = parse_certificate(bytes)) {
      out.certificates.push_back(*std::move(certificate));
      return {};
    }
    TACIT_TRY(auto crl, parse_crl(bytes));
    out.crls.push_back(std::move(crl));
    return {};
  }
  return fail(Error{Code::not_found, "no collateral of a known kind"}.fix(
      "name certificates, revocation lists, Intel's responses or RIM files"));
}

}  // namespace

Result<void> Collateral::add(BytesView bytes, bool named) {
  TACIT_CHECK(add_recognised(*this, bytes, named));
  if (num_items(*this) > kCollateralItemsMax)
    return fail(Error{Code::too_large, "number of pieces of collateral"}.with("limit",
                                                                              kCollateralItemsMax));
  return {};
}

}  // namespace tacit::attest
