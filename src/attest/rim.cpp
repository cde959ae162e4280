#include "attest/rim.hpp"

#include <algorithm>
#include <set>

#include "attest/roots.hpp"
#include "attest/xml.hpp"
#include "core/text.hpp"
#include "crypto/hash.hpp"

namespace tacit::attest {
namespace {

constexpr std::size_t kMeasurementsMax = 256;
constexpr std::string_view kDsig = "http://www.w3.org/2000/09/xmldsig#";
constexpr std::string_view kCanonical = "http://www.w3.org/2006/12/xml-c14n11";
constexpr std::string_view kEnveloped = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
constexpr std::string_view kEcdsaSha384 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384";
constexpr std::string_view kSha384 = "http://www.w3.org/2001/04/xmldsig-more#sha384";

std::unexpected<Error> malformed(Literal what) { return fail(Code::malformed, what); }

std::optional<Bytes> base64_of(const XmlElement& element) {
  auto text = element.text();
  std::erase_if(text, [](char c) { return c == '\n' || c == ' ' || c == '\t'; });
  return from_base64(text);
}

bool has_algorithm(const XmlElement* element, std::string_view algorithm) {
  return element != nullptr && element->attribute("Algorithm") == algorithm;
}

// SignedInfo must say exactly what NVIDIA's says: anything else would sign something else.
Result<Bytes> stated_digest(const XmlElement& info) {
  const auto* reference = info.child("Reference");
  const auto* transforms = reference == nullptr ? nullptr : reference->child("Transforms");
  if (transforms == nullptr || info.children_named("Reference").size() != 1 ||
      !reference->attribute("URI").empty() || !reference->attribute("Type").empty())
    return malformed("signature of a RIM");
  const auto steps = transforms->children_named("Transform");
  if (!has_algorithm(info.child("CanonicalizationMethod"), kCanonical) ||
      !has_algorithm(info.child("SignatureMethod"), kEcdsaSha384) || steps.size() != 2 ||
      !has_algorithm(steps[0], kEnveloped) || !has_algorithm(steps[1], kCanonical) ||
      !has_algorithm(reference->child("DigestMethod"), kSha384))
    return fail(Code::unsupported, "algorithms of a RIM's signature");
  const auto* value = reference->child("DigestValue");
  auto digest = value == nullptr ? std::nullopt : base64_of(*value);
  if (!digest || digest->size() != 48) return malformed("digest of a RIM");
  return *std::move(digest);
}

Result<void> read_signature(const XmlElement& root, Rim& out) {
  const auto* signature = root.child("Signature");
  if (signature == nullptr) return malformed("RIM without a signature");
  const auto declared = declared_namespaces(*signature);
  if (declared.size() != 1 || declared[0].second != kDsig) return malformed("signature of a RIM");
  const auto* info = signature->child("SignedInfo");
  const auto* value = signature->child("SignatureValue");
  const auto* key_info = signature->child("KeyInfo");
  const auto* data = key_info == nullptr ? nullptr : key_info->child("X509Data");
  if (info == nullptr || value == nullptr || data == nullptr)
    return malformed("signature of a RIM is incomplete");
  TACIT_TRY(out.stated_digest, stated_digest(*info));
  auto bytes = base64_of(*value);
  if (!bytes || bytes->size() != 96) return malformed("signature value of a RIM");
  out.signature = *std::move(bytes);
  auto scope = declared_namespaces(root);
  scope.push_back(declared[0]);
  const auto canonical_info = canonical_xml(*info, scope, nullptr);
  const auto info_bytes = as_bytes(canonical_info);
  out.signed_info.assign(info_bytes.begin(), info_bytes.end());
  const auto document = canonical_xml(root, {}, signature);
  const auto digest = crypto::sha384(as_bytes(document));
  out.document_digest.assign(digest.begin(), digest.end());
  for (const auto* element : data->children_named("X509Certificate")) {
    const auto der = base64_of(*element);
    if (!der || out.chain.size() == kChainLengthMax) return malformed("certificate of a RIM");
    TACIT_TRY(auto certificate, parse_certificate(*der));
    out.chain.push_back(std::move(certificate));
  }
  return {};
}

Result<RimMeasurement> read_measurement(const XmlElement& element) {
  RimMeasurement out;
  const auto index = parse_u64(element.attribute("index"));
  const auto alternatives = parse_u64(element.attribute("alternatives"));
  const auto active = to_lower_ascii(element.attribute("active"));
  if (!index || *index >= kMeasurementsMax || !alternatives || *alternatives < 1 ||
      *alternatives > 16 || (active != "true" && active != "false"))
    return malformed("measurement of a RIM");
  out.index = static_cast<unsigned>(*index);
  out.active = active == "true";
  for (std::uint64_t i = 0; i < *alternatives; ++i) {
    auto value = from_hex(element.attribute("Hash" + std::to_string(i)));
    if (!value || value->empty()) return malformed("measurement of a RIM");
    out.alternatives.push_back(*std::move(value));
  }
  return out;
}

}  // namespace

bool is_rim(BytesView bytes) { return as_text(bytes).substr(0, 512).contains("SoftwareIdentity"); }

Result<Rim> parse_rim(BytesView xml) {
  TACIT_TRY(const auto root, parse_xml(as_text(xml)));
  if (root.local_name() != "SoftwareIdentity") return malformed("RIM");
  Rim out;
  out.id = printable(root.attribute("tagId"));
  const auto* meta = root.child("Meta");
  const auto* payload = root.child("Payload");
  if (meta == nullptr || payload == nullptr) return malformed("RIM without meta data or payload");
  out.version = printable(meta->attribute("colloquialVersion"));
  out.edition = printable(meta->attribute("edition"));
  out.product = printable(meta->attribute("product"));
  if (out.version.empty() || out.product.empty()) return malformed("meta data of a RIM");
  std::set<unsigned> seen;
  for (const auto* element : payload->children_named("Resource")) {
    if (element->attribute("type") != "Measurement") continue;
    TACIT_TRY(auto measurement, read_measurement(*element));
    if (!seen.insert(measurement.index).second) return malformed("RIM with a measurement twice");
    out.measurements.push_back(std::move(measurement));
  }
  if (std::ranges::none_of(out.measurements, &RimMeasurement::active))
    return malformed("RIM without active measurements");
  TACIT_CHECK(read_signature(root, out));
  return out;
}

bool check_rim(const Rim& rim, UnixTime now, SignatureMemory& memory, Appraisal& out) {
  const auto what = "a RIM for " + rim.version + " signed by NVIDIA";
  if (rim.document_digest != rim.stated_digest) {
    out.reject("rim", what, "the document was changed after it was signed");
    return false;
  }
  if (!chain_to_root(rim.chain, *root_certificate(RootId::nvidia_rim), {now}, memory, "rim", out))
    return false;
  const auto& leaf = *rim.chain[0];
  if (leaf.is_ca || !leaf.may_sign_data() ||
      !memory.verify(*leaf.key, crypto::SignatureScheme::ecdsa_sha384_raw, rim.signed_info,
                     rim.signature)) {
    out.reject("rim", what, "its signature does not verify");
    return false;
  }
  return true;
}

}  // namespace tacit::attest
