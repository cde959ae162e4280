#include "attest/intel_tcb.hpp"

#include <algorithm>

#include "attest/checks.hpp"
#include "attest/oids.hpp"

namespace tacit::attest {
namespace {

using der::Reader;

// The member of the SGX extensions that `oid` names, when it is directly below `parent`.
std::optional<unsigned> member_number(BytesView oid, BytesView parent) {
  if (oid.size() != parent.size() + 1 || !equal(oid.first(parent.size()), parent))
    return std::nullopt;
  return std::to_integer<unsigned>(oid.back());
}

Result<void> parse_tcb(Reader list, BytesView parent, PckPlatform& out) {
  unsigned seen = 0;
  while (!list.done()) {
    TACIT_TRY(auto pair, list.enter(der::kSequence));
    TACIT_TRY(const auto oid, pair.take(der::kOid));
    const auto number = member_number(oid.content, parent);
    if (!number || *number < 1 || *number > 18 || (seen & 1U << *number) != 0)
      return fail(Code::malformed, "TCB of a PCK certificate");
    seen |= 1U << *number;
    if (*number == 18) {
      TACIT_CHECK(pair.take(der::kOctetString));
    } else {
      TACIT_TRY(const auto value, pair.small_integer());
      if (value > (*number == 17 ? 65535U : 255U))
        return fail(Code::malformed, "TCB of a PCK certificate");
      if (*number == 17)
        out.pce_svn = value;
      else
        out.components[*number - 1] = static_cast<std::uint8_t>(value);
    }
    if (!pair.done()) return fail(Code::malformed, "TCB of a PCK certificate");
  }
  if (seen != 0x7fffeU) return fail(Code::malformed, "TCB of a PCK certificate is incomplete");
  return {};
}

Result<void> parse_configuration(Reader list, BytesView parent, PckPlatform& out) {
  while (!list.done()) {
    TACIT_TRY(auto pair, list.enter(der::kSequence));
    TACIT_TRY(const auto oid, pair.take(der::kOid));
    TACIT_TRY(const auto value, pair.take(der::kBoolean));
    if (value.content.size() != 1)
      return fail(Code::malformed, "configuration in a PCK certificate");
    if (member_number(oid.content, parent) == 3U) out.smt = value.content[0] != std::byte{0};
  }
  return {};
}

Result<Bytes> octets(Reader& pair, std::size_t size) {
  TACIT_TRY(const auto value, pair.take(der::kOctetString));
  if (value.content.size() != size) return fail(Code::malformed, "extension of a PCK certificate");
  return Bytes{value.content.begin(), value.content.end()};
}

bool reaches(std::span<const std::uint8_t> have, std::span<const std::uint8_t> need) {
  for (std::size_t i = 0; i < need.size(); ++i)
    if (have[i] < need[i]) return false;
  return true;
}

TcbMatch of(const TcbLevel& level) { return {level.status, level.date, level.advisories}; }

}  // namespace

Result<PckPlatform> parse_pck_extension(const Certificate& pck) {
  const auto value = pck.extension(oid::kSgxExtensions);
  if (!value) return fail(Code::malformed, "certificate without Intel's SGX extension");
  Reader outer{*value};
  TACIT_TRY(auto list, outer.enter(der::kSequence));
  PckPlatform out;
  unsigned seen = 0;
  while (!list.done()) {
    TACIT_TRY(auto pair, list.enter(der::kSequence));
    TACIT_TRY(const auto oid, pair.take(der::kOid));
    const auto number = member_number(oid.content, oid::kSgxExtensions);
    if (!number || *number > 7 || (seen & 1U << *number) != 0)
      return fail(Code::malformed, "extension of a PCK certificate");
    seen |= 1U << *number;
    switch (*number) {
      case 1: {
        TACIT_TRY(out.ppid, octets(pair, 16));
        break;
      }
      case 2: {
        TACIT_TRY(const auto tcb, pair.enter(der::kSequence));
        TACIT_CHECK(parse_tcb(tcb, oid.content, out));
        break;
      }
      case 3: {
        TACIT_TRY(out.pce_id, octets(pair, 2));
        break;
      }
      case 4: {
        TACIT_TRY(out.fmspc, octets(pair, 6));
        break;
      }
      case 7: {
        TACIT_TRY(const auto configuration, pair.enter(der::kSequence));
        TACIT_CHECK(parse_configuration(configuration, oid.content, out));
        break;
      }
      default: TACIT_CHECK(pair.any());
    }
    if (!pair.done()) return fail(Code::malformed, "extension of a PCK certificate");
  }
  if (!outer.done() || (seen & 0x1eU) != 0x1eU)
    return fail(Code::malformed, "SGX extension of a PCK certificate is incomplete");
  return out;
}

std::optional<TcbMatch> match_platform(const TcbInfo& info, const PckPlatform& platform,
                                       const TdReport* td) {
  std::array<std::uint8_t, 16> tee{};
  std::size_t skip = 0;
  if (td != nullptr) {
    for (std::size_t i = 0; i < 16; ++i) tee[i] = std::to_integer<std::uint8_t>(td->tee_tcb_svn[i]);
    // From version 1 of the module on, its two components have an identity of their own.
    if (tee[1] > 0) skip = 2;
  }
  for (const auto& level : info.levels) {
    if (!reaches(platform.components, level.sgx) || platform.pce_svn < level.pce_svn) continue;
    if (td != nullptr && !reaches(std::span{tee}.subspan(skip), std::span{level.tdx}.subspan(skip)))
      continue;
    return of(level);
  }
  return std::nullopt;
}

std::optional<TcbMatch> match_enclave(const std::vector<TcbLevel>& levels, std::uint64_t isv_svn) {
  for (const auto& level : levels)
    if (isv_svn >= level.isv_svn) return of(level);
  return std::nullopt;
}

std::optional<TcbMatch> match_module(const TcbInfo& info, const TdReport& td,
                                     std::string& problem) {
  const auto version = std::to_integer<unsigned>(td.tee_tcb_svn[1]);
  const TdxModuleIdentity* identity = &info.module;
  if (version > 0) {
    constexpr std::string_view kDigits = "0123456789ABCDEF";
    const std::string id{'T', 'D', 'X', '_', kDigits[version / 16], kDigits[version % 16]};
    const auto at = std::ranges::find(info.modules, id, &TdxModuleIdentity::id);
    if (at == info.modules.end()) {
      problem = "Intel's statement does not know the module " + id;
      return std::nullopt;
    }
    identity = &*at;
  }
  if (!equal(td.mr_signer_seam, identity->mrsigner)) {
    problem = "the module's signer is another one";
    return std::nullopt;
  }
  if (!equal_masked(td.seam_attributes, identity->attributes, identity->attributes_mask)) {
    problem = "the module's attributes differ";
    return std::nullopt;
  }
  if (version == 0) return TcbMatch{};  // its components are part of the platform's level
  auto match = match_enclave(identity->levels, std::to_integer<unsigned>(td.tee_tcb_svn[0]));
  if (!match) problem = "the module is below every level";
  return match;
}

TcbStatus combine(TcbStatus a, TcbStatus b) noexcept {
  const auto has = [&](auto... of) { return ((a == of || b == of) || ...); };
  using enum TcbStatus;
  if (has(revoked)) return revoked;
  const bool old = has(out_of_date, out_of_date_configuration_needed);
  const bool configuration = has(configuration_needed, configuration_and_sw_hardening_needed,
                                 out_of_date_configuration_needed);
  const bool hardening = has(sw_hardening_needed, configuration_and_sw_hardening_needed);
  if (old) return configuration ? out_of_date_configuration_needed : out_of_date;
  if (configuration)
    return hardening ? configuration_and_sw_hardening_needed : configuration_needed;
  return hardening ? sw_hardening_needed : up_to_date;
}

}  // namespace tacit::attest
