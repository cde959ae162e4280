#include "attest/intel_quote.hpp"

#include <algorithm>

namespace tacit::attest {
namespace {

constexpr std::size_t kHeaderBytes = 48;
constexpr std::size_t kSgxReportBytes = 384;
constexpr std::size_t kTd10Bytes = 584;
constexpr std::size_t kTd15Bytes = 648;
constexpr std::uint16_t kKeyTypeEcdsaP256 = 2;
constexpr std::uint32_t kTeeSgx = 0;
constexpr std::uint32_t kTeeTdx = 0x81;
constexpr std::uint16_t kCertificateChain = 5;
constexpr std::uint16_t kQeReportCertification = 6;
constexpr std::size_t kSignatureBytesMax = 64 * 1024;

SgxReport sgx_report(BytesView b) {
  const auto u16 = [&](std::size_t at) {
    return static_cast<std::uint16_t>(std::to_integer<unsigned>(b[at]) |
                                      std::to_integer<unsigned>(b[at + 1]) << 8U);
  };
  return {.whole = b,
          .cpu_svn = b.subspan(0, 16),
          .misc_select = b.subspan(16, 4),
          .attributes = b.subspan(48, 16),
          .mr_enclave = b.subspan(64, 32),
          .mr_signer = b.subspan(128, 32),
          .isv_prod_id = u16(256),
          .isv_svn = u16(258),
          .report_data = b.subspan(320, 64)};
}

TdReport td_report(BytesView b) {
  TdReport out{
      .tee_tcb_svn = b.subspan(0, 16),
      .mr_seam = b.subspan(16, 48),
      .mr_signer_seam = b.subspan(64, 48),
      .seam_attributes = b.subspan(112, 8),
      .td_attributes = b.subspan(120, 8),
      .xfam = b.subspan(128, 8),
      .mr_td = b.subspan(136, 48),
      .mr_config_id = b.subspan(184, 48),
      .mr_owner = b.subspan(232, 48),
      .mr_owner_config = b.subspan(280, 48),
      .rtmr = {b.subspan(328, 48), b.subspan(376, 48), b.subspan(424, 48), b.subspan(472, 48)},
      .report_data = b.subspan(520, 64),
      .tee_tcb_svn2 = {},
      .mr_service_td = {}};
  if (b.size() == kTd15Bytes) {
    out.tee_tcb_svn2 = b.subspan(584, 16);
    out.mr_service_td = b.subspan(600, 48);
  }
  return out;
}

// The QE's report, its signature, authentication data, and the certificates.
Result<void> parse_qe(ByteReader& in, IntelQuote& out) {
  TACIT_TRY(const auto report, in.take(kSgxReportBytes));
  out.qe_report = sgx_report(report);
  TACIT_TRY(out.qe_report_signature, in.take(64));
  TACIT_TRY(const auto auth_size, in.u16());
  TACIT_TRY(out.qe_auth_data, in.take(auth_size));
  TACIT_TRY(const auto kind, in.u16());
  if (kind != kCertificateChain)
    return fail(Error{Code::unsupported, "certification data of a quote"}.with("type", kind));
  TACIT_TRY(out.certificates, in.sized(kSignatureBytesMax));
  if (!in.done()) return fail(Code::malformed, "bytes after the certificates of a quote");
  return {};
}

Result<void> parse_signature(BytesView bytes, IntelQuote& out) {
  ByteReader in{bytes};
  TACIT_TRY(out.signature, in.take(64));
  TACIT_TRY(out.attestation_key, in.take(64));
  if (out.version == 3) return parse_qe(in, out);
  TACIT_TRY(const auto kind, in.u16());
  if (kind != kQeReportCertification)
    return fail(Error{Code::unsupported, "certification data of a quote"}.with("type", kind));
  TACIT_TRY(const auto inner, in.sized(kSignatureBytesMax));
  if (!in.done()) return fail(Code::malformed, "bytes after the signature of a quote");
  ByteReader qe{inner};
  return parse_qe(qe, out);
}

Result<std::size_t> body_size(ByteReader& in, std::uint32_t tee, IntelQuote& out) {
  if (out.version < 5) {
    out.body = tee == kTeeTdx ? QuoteBody::td10 : QuoteBody::sgx;
    return tee == kTeeTdx ? kTd10Bytes : kSgxReportBytes;
  }
  TACIT_TRY(const auto type, in.u16());
  TACIT_TRY(const auto size, in.u32());
  const bool tdx = tee == kTeeTdx;
  if (type == 1 && !tdx && size == kSgxReportBytes) {
    out.body = QuoteBody::sgx;
  } else if (type == 2 && tdx && size == kTd10Bytes) {
    out.body = QuoteBody::td10;
  } else if (type == 3 && tdx && size == kTd15Bytes) {
    out.body = QuoteBody::td15;
  } else {
    return fail(Error{Code::unsupported, "body of a quote"}.with("type", type).with("size", size));
  }
  return size;
}

}  // namespace

bool is_intel_quote(BytesView bytes) noexcept {
  if (bytes.size() < kHeaderBytes + kSgxReportBytes) return false;
  ByteReader in{bytes};
  const auto version = in.u16();
  const auto key_type = in.u16();
  const auto tee = in.u32();
  return version && key_type && tee && *version >= 3 && *version <= 5 && *key_type <= 3 &&
         (*tee == kTeeTdx || *tee == kTeeSgx || *version == 3);
}

Result<IntelQuote> parse_intel_quote(BytesView bytes) {
  ByteReader in{bytes};
  IntelQuote out;
  TACIT_TRY(out.version, in.u16());
  TACIT_TRY(const auto key_type, in.u16());
  TACIT_TRY(auto tee, in.u32());
  if (out.version < 3 || out.version > 5)
    return fail(Error{Code::unsupported, "version of a quote"}.with("version", out.version));
  if (key_type != kKeyTypeEcdsaP256)
    return fail(Error{Code::unsupported, "attestation key of a quote"}.with("type", key_type));
  if (out.version == 3) tee = kTeeSgx;  // the field is reserved there
  if (tee != kTeeSgx && tee != kTeeTdx) return fail(Code::unsupported, "TEE of a quote");
  TACIT_CHECK(in.u32());  // version 3: QE and PCE SVN; later: reserved
  TACIT_TRY(out.qe_vendor_id, in.take(16));
  TACIT_CHECK(in.take(20));  // user data: signed, without a meaning for verifiers
  TACIT_TRY(const auto size, body_size(in, tee, out));
  TACIT_TRY(const auto body, in.take(size));
  out.signed_part = bytes.first(in.offset());
  if (out.body == QuoteBody::sgx)
    out.enclave = sgx_report(body);
  else
    out.td = td_report(body);
  TACIT_TRY(const auto signature, in.sized(kSignatureBytesMax));
  TACIT_CHECK(parse_signature(signature, out));
  out.size = in.offset();
  const auto rest = bytes.subspan(out.size);
  if (std::ranges::any_of(rest, [](std::byte b) { return b != std::byte{0}; }))
    return fail(Error{Code::malformed, "bytes other than zero after a quote"}.with(
        "quote_bytes", static_cast<std::int64_t>(out.size)));
  return out;
}

}  // namespace tacit::attest
