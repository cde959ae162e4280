#include "seal/sealed.hpp"

#include <algorithm>
#include <cstring>

#include "crypto/hkdf.hpp"
#include "seal/padding.hpp"

namespace tacit::seal {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::uint8_t kData = 0;  // the only type of frame
// 2100-01-01: later times are nonsense, and clocks count them without overflow.
constexpr std::uint64_t kUnixMsMax = 4'102'444'800'000;
constexpr std::size_t kDigestBytes = 32;

SecretBytes derive(const crypto::Sha256Digest& digest, std::string_view label, std::size_t n) {
  crypto::Hkdf hkdf{crypto::HashId::sha256};
  SecretBytes prk{kDigestBytes};
  hkdf.extract({}, {digest}, prk.reveal_mutable());
  SecretBytes out{n};
  // Cannot fail: n is at most 32.
  static_cast<void>(hkdf.expand(prk.reveal(), {as_bytes(label)}, out.reveal_mutable()));
  return out;
}

// A memcmp with itself, one byte later: much faster than looking at each.
bool all_zero(BytesView bytes) {
  return bytes.empty() || (bytes[0] == std::byte{0} &&
                           std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

Result<SecretBytes> inner_secret(const crypto::HpkeContext& outer) {
  return outer.export_secret(as_bytes("tacit sealed-http v1 inner"), kDigestBytes);
}

}  // namespace

CallerKey caller_key(const crypto::Sha256Digest& digest) {
  CallerKey key{derive(digest, "tacit sealed-http v1 psk", 32), {}};
  const auto id = derive(digest, "tacit sealed-http v1 psk id", key.id.size());
  std::ranges::copy(id.reveal(), key.id.begin());
  return key;
}

CallerKey anonymous_caller() {
  return {SecretBytes{crypto::sha256(as_bytes("tacit sealed-http v1 anonymous"))}, {}};
}

std::array<std::byte, kPreludeBytes> encode_prelude(const Prelude& prelude) {
  ByteWriter out;
  out.u8(kVersion);
  out.u8(prelude.shape.frame_bits);
  out.u16_be(prelude.shape.pace_ms);
  out.u64_be(static_cast<std::uint64_t>(
      std::chrono::duration_cast<Milliseconds>(prelude.made.time_since_epoch()).count()));
  out.raw(prelude.nonce);
  out.raw(prelude.psk_id);
  out.raw(prelude.reply_key);
  std::array<std::byte, kPreludeBytes> bytes{};
  std::ranges::copy(out.bytes(), bytes.begin());
  return bytes;
}

Result<Prelude> parse_prelude(BytesView bytes) {
  ByteReader in{bytes};
  TACIT_TRY(const auto version, in.u8());
  if (version != kVersion) return fail(Code::unsupported, "version of the sealed channel");
  Prelude prelude;
  TACIT_TRY(prelude.shape.frame_bits, in.u8());
  TACIT_TRY(prelude.shape.pace_ms, in.u16_be());
  TACIT_TRY(const auto made, in.u64_be());
  if (prelude.shape.frame_bits < ReplyShape::kFrameBitsMin ||
      prelude.shape.frame_bits > ReplyShape::kFrameBitsMax || made > kUnixMsMax) {
    return fail(Code::malformed, "prelude");
  }
  prelude.made = WallTime{Milliseconds{made}};
  TACIT_TRY(const auto nonce, in.take(prelude.nonce.size()));
  std::ranges::copy(nonce, prelude.nonce.begin());
  TACIT_TRY(const auto psk_id, in.take(prelude.psk_id.size()));
  std::ranges::copy(psk_id, prelude.psk_id.begin());
  TACIT_TRY(const auto key, in.take(kSealedPublicKeyBytes));
  prelude.reply_key.assign(key.begin(), key.end());
  TACIT_TRY(const auto rest, in.take(in.remaining()));
  if (bytes.size() != kPreludeBytes || !all_zero(rest)) return fail(Code::malformed, "prelude");
  return prelude;
}

Bytes sealed_info(Direction direction, const Binding& binding) {
  ByteWriter out;
  out.raw(std::string_view{direction == Direction::request ? "tacit sealed-http v1 request"
                                                           : "tacit sealed-http v1 response"});
  out.u8(0);
  out.raw(encode_request_header(binding.key_id, kSealedSuite));
  out.raw(binding.config_digest);
  out.raw(binding.statement_digest);
  return std::move(out).take();
}

Result<crypto::HpkeSender> inner_sender(const crypto::HpkeContext& outer, BytesView info,
                                        BytesView psk, BytesView psk_id) {
  TACIT_TRY(const auto secret, inner_secret(outer));
  return crypto::HpkeSender::from_secret(kSealedSuite, secret.reveal(), info,
                                         crypto::HpkePsk{psk, psk_id});
}

Result<crypto::HpkeReceiver> inner_receiver(const crypto::HpkeContext& outer, BytesView info,
                                            BytesView psk, BytesView psk_id) {
  TACIT_TRY(const auto secret, inner_secret(outer));
  return crypto::HpkeReceiver::from_secret(kSealedSuite, secret.reveal(), info,
                                           crypto::HpkePsk{psk, psk_id});
}

Result<SecretBytes> reply_psk(const crypto::HpkeContext& inner) {
  return inner.export_secret(as_bytes("tacit sealed-http v1 reply"), kDigestBytes);
}

PaddedWriter::PaddedWriter(FrameSealer sealer, std::size_t frame_bytes, bool constant)
    : sealer_{std::move(sealer)}, frame_bytes_{frame_bytes}, constant_{constant} {}

Result<void> PaddedWriter::emit(std::size_t plaintext_bytes, bool final, Bytes& out) {
  const auto n = std::min(pending(), plaintext_bytes - kFrameHeaderBytes);
  const auto place = sealer_.reserve(plaintext_bytes, final, out);
  place[0] = std::byte{kData};
  place[1] = static_cast<std::byte>(n >> 8);
  place[2] = static_cast<std::byte>(n);
  // A frame that is not full holds all that waited; reserve() gave zeros.
  const auto data = as_bytes(pending_.reveal()).subspan(pending_begin_, n);
  if (n > 0) std::memcpy(place.data() + kFrameHeaderBytes, data.data(), n);
  pending_begin_ += n;
  sent_ += plaintext_bytes;
  return sealer_.close(plaintext_bytes, final, out);
}

void PaddedWriter::append(BytesView data) {
  // What was sent is dropped (and wiped) once it is more than what waits: linear in all.
  if (pending_begin_ > 0 && pending_begin_ >= pending()) {
    pending_ = SecretText{pending_.reveal().substr(pending_begin_)};
    pending_begin_ = 0;
  }
  pending_.append(as_text(data));
}

Result<void> PaddedWriter::write(BytesView data, Bytes& out) {
  if (sealer_.finished()) return fail(Code::invalid_argument, "data after the end");
  append(data);
  while (pending() >= frame_bytes_ - kFrameHeaderBytes) {
    TACIT_CHECK(emit(frame_bytes_, false, out));
  }
  return {};
}

Result<void> PaddedWriter::flush(bool even_empty, Bytes& out) {
  if (pending() == 0 && !even_empty) return {};
  return emit(frame_bytes_, false, out);
}

Result<void> PaddedWriter::finish(Bytes& out) {
  const auto room = frame_bytes_ - kFrameHeaderBytes;
  const auto frames = std::max<std::size_t>(1, (pending() + room - 1) / room);
  auto total = bucket(sent_ + pending() + frames * kFrameHeaderBytes);
  if (constant_) total = (total + frame_bytes_ - 1) / frame_bytes_ * frame_bytes_;
  while (total - sent_ > frame_bytes_) TACIT_CHECK(emit(frame_bytes_, false, out));
  return emit(total - sent_, true, out);
}

Result<BytesView> PaddedReader::open(const FrameSplitter::Frame& frame) {
  const auto opened = open_frame(keys_, frame);
  // What does not open has been wiped and is read all the same: a bad tag takes as long as bad
  // padding.
  const BytesView plaintext{
      frame.ciphertext.first(frame.ciphertext.size() - crypto::kAeadTagBytes)};
  const bool fits = frame_bytes_ == 0 || plaintext.size() == frame_bytes_;
  ByteReader in{plaintext};
  TACIT_TRY(const auto type, in.u8());
  TACIT_TRY(const auto size, in.u16_be());
  const bool sound = type == kData && fits && size <= in.remaining();
  TACIT_TRY(const auto data, in.take(sound ? size : 0));
  TACIT_TRY(const auto padding, in.take(in.remaining()));
  const bool padded = all_zero(padding);
  if (!opened) return fail(opened.error());
  if (!sound || !padded) return fail(Code::malformed, "frame");
  return data;
}

}  // namespace tacit::seal
