#include "attest/intel_collateral.hpp"

#include <algorithm>

#include "attest/json.hpp"

namespace tacit::attest {
namespace {

namespace json = boost::json;

constexpr std::size_t kLevelsMax = 64;
constexpr std::size_t kAdvisoriesMax = 256;

constexpr std::array<std::string_view, 7> kStatusNames{"UpToDate",
                                                       "SWHardeningNeeded",
                                                       "ConfigurationNeeded",
                                                       "ConfigurationAndSWHardeningNeeded",
                                                       "OutOfDate",
                                                       "OutOfDateConfigurationNeeded",
                                                       "Revoked"};

std::unexpected<Error> malformed(Literal what) { return fail(Code::malformed, what); }

Result<std::array<std::uint8_t, 16>> components(const json::object& tcb, std::string_view name) {
  const auto* list = array_member(tcb, name);
  if (list == nullptr || list->size() != 16) return malformed("TCB components");
  std::array<std::uint8_t, 16> out{};
  for (std::size_t i = 0; i < 16; ++i) {
    const auto* one = (*list)[i].if_object();
    const auto svn = one == nullptr ? std::nullopt : number_member(*one, "svn");
    if (!svn || *svn > 255) return malformed("TCB component");
    out[i] = static_cast<std::uint8_t>(*svn);
  }
  return out;
}

enum class LevelKind : std::uint8_t { sgx, tdx, enclave };

Result<TcbLevel> parse_level(const json::value& value, LevelKind kind) {
  const auto* object = value.if_object();
  const auto* tcb = object == nullptr ? nullptr : object_member(*object, "tcb");
  const auto status = object == nullptr ? std::nullopt : text_member(*object, "tcbStatus");
  const auto date = object == nullptr ? std::nullopt : text_member(*object, "tcbDate");
  if (tcb == nullptr || !status || !date || date->size() > 32) return malformed("TCB level");
  TcbLevel out;
  const auto* const known = std::ranges::find(kStatusNames, *status);
  if (known == kStatusNames.end()) return malformed("TCB status");
  out.status = static_cast<TcbStatus>(known - kStatusNames.begin());
  out.date = printable(*date);
  if (kind == LevelKind::enclave) {
    const auto svn = number_member(*tcb, "isvsvn");
    if (!svn || *svn > 65535) return malformed("TCB level of an enclave");
    out.isv_svn = *svn;
  } else {
    TACIT_TRY(out.sgx, components(*tcb, "sgxtcbcomponents"));
    if (kind == LevelKind::tdx) {
      TACIT_TRY(out.tdx, components(*tcb, "tdxtcbcomponents"));
    }
    const auto svn = number_member(*tcb, "pcesvn");
    if (!svn || *svn > 65535) return malformed("PCE version in a TCB level");
    out.pce_svn = *svn;
  }
  if (object->contains("advisoryIDs")) {
    const auto* list = array_member(*object, "advisoryIDs");
    if (list == nullptr || list->size() > kAdvisoriesMax) return malformed("advisories");
    for (const auto& advisory : *list) {
      if (!advisory.is_string()) return malformed("advisory");
      out.advisories.push_back(
          printable(std::string_view{advisory.get_string().data(), advisory.get_string().size()}));
    }
  }
  return out;
}

Result<std::vector<TcbLevel>> parse_levels(const json::object& object, LevelKind kind) {
  const auto* list = array_member(object, "tcbLevels");
  if (list == nullptr || list->empty() || list->size() > kLevelsMax)
    return malformed("list of TCB levels");
  std::vector<TcbLevel> out;
  for (const auto& one : *list) {
    TACIT_TRY(auto level, parse_level(one, kind));
    out.push_back(std::move(level));
  }
  return out;
}

Result<TdxModuleIdentity> parse_module(const json::object& object, bool with_levels) {
  TdxModuleIdentity out;
  auto mrsigner = hex_member(object, "mrsigner", 48);
  auto attributes = hex_member(object, "attributes", 8);
  auto mask = hex_member(object, "attributesMask", 8);
  if (!mrsigner || !attributes || !mask) return malformed("identity of the TDX module");
  out.mrsigner = *std::move(mrsigner);
  out.attributes = *std::move(attributes);
  out.attributes_mask = *std::move(mask);
  if (!with_levels) return out;
  const auto id = text_member(object, "id");
  if (!id || id->size() > 16) return malformed("identity of the TDX module");
  out.id = *id;
  TACIT_TRY(out.levels, parse_levels(object, LevelKind::enclave));
  return out;
}

Result<void> parse_common(const json::object& object, std::uint64_t version, IntelStatement& out) {
  const auto id = text_member(object, "id");
  const auto issued = text_member(object, "issueDate");
  const auto next = text_member(object, "nextUpdate");
  const auto number = number_member(object, "tcbEvaluationDataNumber");
  if (number_member(object, "version") != version)
    return fail(Code::unsupported, "version of Intel's statement");
  if (!id || !issued || !next || !number) return malformed("Intel's statement");
  out.id = printable(*id);
  out.evaluation_number = *number;
  TACIT_TRY(out.issue_date, parse_time(*issued));
  TACIT_TRY(out.next_update, parse_time(*next));
  return {};
}

}  // namespace

std::string_view tcb_status_name(TcbStatus status) noexcept {
  return kStatusNames[static_cast<std::size_t>(status)];
}

Result<TcbInfo> parse_tcb_info(std::string_view text) {
  TACIT_TRY(const auto value, parse_json(text));
  if (!value.is_object()) return malformed("TCB info");
  const auto& object = value.get_object();
  TcbInfo out;
  out.signed_text = text;
  TACIT_CHECK(parse_common(object, 3, out));
  if (out.id != "TDX" && out.id != "SGX") return fail(Code::unsupported, "kind of TCB info");
  auto fmspc = hex_member(object, "fmspc", 6);
  auto pce_id = hex_member(object, "pceId", 2);
  if (!fmspc || !pce_id || number_member(object, "tcbType") != 0) return malformed("TCB info");
  out.fmspc = *std::move(fmspc);
  out.pce_id = *std::move(pce_id);
  const bool tdx = out.id == "TDX";
  if (tdx) {
    const auto* module = object_member(object, "tdxModule");
    if (module == nullptr) return malformed("TCB info without the TDX module");
    TACIT_TRY(out.module, parse_module(*module, false));
    if (object.contains("tdxModuleIdentities")) {
      const auto* list = array_member(object, "tdxModuleIdentities");
      if (list == nullptr || list->size() > kLevelsMax) return malformed("TDX module identities");
      for (const auto& one : *list) {
        if (!one.is_object()) return malformed("TDX module identity");
        TACIT_TRY(auto identity, parse_module(one.get_object(), true));
        out.modules.push_back(std::move(identity));
      }
    }
  }
  TACIT_TRY(out.levels, parse_levels(object, tdx ? LevelKind::tdx : LevelKind::sgx));
  return out;
}

Result<QeIdentity> parse_qe_identity(std::string_view text) {
  TACIT_TRY(const auto value, parse_json(text));
  if (!value.is_object()) return malformed("identity of the quoting enclave");
  const auto& object = value.get_object();
  QeIdentity out;
  out.signed_text = text;
  TACIT_CHECK(parse_common(object, 2, out));
  auto misc = hex_member(object, "miscselect", 4);
  auto misc_mask = hex_member(object, "miscselectMask", 4);
  auto attributes = hex_member(object, "attributes", 16);
  auto attributes_mask = hex_member(object, "attributesMask", 16);
  auto mrsigner = hex_member(object, "mrsigner", 32);
  const auto product = number_member(object, "isvprodid");
  if (!misc || !misc_mask || !attributes || !attributes_mask || !mrsigner || !product)
    return malformed("identity of the quoting enclave");
  out.misc_select = *std::move(misc);
  out.misc_select_mask = *std::move(misc_mask);
  out.attributes = *std::move(attributes);
  out.attributes_mask = *std::move(attributes_mask);
  out.mrsigner = *std::move(mrsigner);
  out.isv_prod_id = *product;
  TACIT_TRY(out.levels, parse_levels(object, LevelKind::enclave));
  return out;
}

}  // namespace tacit::attest
