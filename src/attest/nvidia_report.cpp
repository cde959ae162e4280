#include "attest/nvidia_report.hpp"

#include <algorithm>
#include <array>

#include "attest/oids.hpp"
#include "attest/x509.hpp"
#include "core/text.hpp"

namespace tacit::attest {
namespace {

constexpr std::size_t kRequestBytes = 37;
constexpr std::size_t kSignatureBytes = 96;
constexpr auto kRequestHead = oid::bytes(0x11, 0xe0, 0x01, 0xff);
constexpr auto kResponseHead = oid::bytes(0x11, 0x60);

// Types of NVIDIA's opaque data (attestation SDK, spdm_opaque_data).
constexpr unsigned kDriverVersion = 3;
constexpr unsigned kVbiosVersion = 6;
constexpr unsigned kNvdecStatus = 11;
constexpr std::byte kNvdecDisabled{0x55};

std::string text_field(const NvidiaReport& report, unsigned type) {
  const auto at = report.opaque.find(type);
  if (at == report.opaque.end()) return {};
  auto text = as_text(at->second);
  while (text.ends_with('\0')) text.remove_suffix(1);
  return printable(text);
}

Result<std::uint32_t> u24(ByteReader& in) {
  TACIT_TRY(const auto low, in.u16());
  TACIT_TRY(const auto high, in.u8());
  return static_cast<std::uint32_t>(low | static_cast<std::uint32_t>(high) << 16U);
}

Result<void> read_blocks(ByteReader in, std::size_t num_blocks, NvidiaReport& out) {
  for (std::size_t i = 0; i < num_blocks; ++i) {
    TACIT_TRY(const auto index, in.u8());
    TACIT_TRY(const auto specification, in.u8());
    TACIT_TRY(const auto size, in.u16());
    TACIT_TRY(const auto block, in.take(size));
    if (specification != 1) return fail(Code::unsupported, "measurement specification");
    ByteReader value{block};
    TACIT_CHECK(value.u8());  // type: what was measured
    TACIT_TRY(const auto value_size, value.u16());
    TACIT_TRY(const auto digest, value.take(value_size));
    if (!value.done() || index == 0 || !out.measurements.emplace(index, digest).second)
      return fail(Code::malformed, "measurement of an NVIDIA report");
  }
  if (!in.done()) return fail(Code::malformed, "measurements of an NVIDIA report");
  return {};
}

Result<void> read_opaque(ByteReader in, NvidiaReport& out) {
  while (!in.done()) {
    TACIT_TRY(const auto type, in.u16());
    TACIT_TRY(const auto size, in.u16());
    TACIT_TRY(const auto value, in.take(size));
    if (!out.opaque.emplace(type, value).second)
      return fail(Code::malformed, "opaque data of an NVIDIA report given twice");
  }
  return {};
}

}  // namespace

std::string NvidiaReport::driver_version() const { return text_field(*this, kDriverVersion); }

std::string NvidiaReport::vbios_version() const {
  const auto at = opaque.find(kVbiosVersion);
  if (at == opaque.end()) return {};
  const auto raw = at->second;
  if (raw.size() != 8) return text_field(*this, kVbiosVersion);  // switches write text
  std::string out;
  for (const std::size_t i : {3U, 2U, 1U, 0U, 4U}) {
    if (!out.empty()) out += '.';
    for (const char c : to_hex(raw.subspan(i, 1)))
      out += c >= 'a' ? static_cast<char>(c - 'a' + 'A') : c;
  }
  return out;
}

bool NvidiaReport::counts_nvdec() const {
  const auto at = opaque.find(kNvdecStatus);
  return at == opaque.end() || at->second.size() != 1 || at->second[0] != kNvdecDisabled;
}

bool is_nvidia_report(BytesView bytes) noexcept {
  return bytes.size() > kRequestBytes + 8 && std::ranges::equal(bytes.first(4), kRequestHead) &&
         std::ranges::equal(bytes.subspan(kRequestBytes, 2), kResponseHead);
}

Result<NvidiaReport> parse_nvidia_report(BytesView bytes) {
  if (!is_nvidia_report(bytes)) return fail(Code::malformed, "NVIDIA report");
  NvidiaReport out;
  out.nonce = bytes.subspan(4, 32);
  ByteReader in{bytes.subspan(kRequestBytes)};
  TACIT_CHECK(in.take(4));
  TACIT_TRY(const auto num_blocks, in.u8());
  TACIT_TRY(const auto record_size, u24(in));
  TACIT_TRY(const auto record, in.take(record_size));
  TACIT_CHECK(read_blocks(ByteReader{record}, num_blocks, out));
  TACIT_CHECK(in.take(32));  // the responder's nonce
  TACIT_TRY(const auto opaque_size, in.u16());
  TACIT_TRY(const auto opaque, in.take(opaque_size));
  TACIT_CHECK(read_opaque(ByteReader{opaque}, out));
  TACIT_TRY(out.signature, in.take(kSignatureBytes));
  if (!in.done()) return fail(Code::malformed, "bytes after an NVIDIA report");
  out.signed_part = bytes.first(bytes.size() - kSignatureBytes);
  return out;
}

}  // namespace tacit::attest
