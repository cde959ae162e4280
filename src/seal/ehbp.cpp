#include "seal/ehbp.hpp"

#include <algorithm>

#include "crypto/random.hpp"
#include "seal/response_keys.hpp"

namespace tacit::seal {
namespace {

constexpr std::string_view kInfo = "ehbp request";
constexpr std::string_view kAnswerLabel = "ehbp response";
constexpr std::size_t kLengthBytes = 4;

}  // namespace

KeyKind ehbp_key_kind() { return {kEhbpSuite.kem, {{kEhbpSuite.kdf, kEhbpSuite.aead}}, 0, 0xff}; }

Bytes ehbp_key_config(KeyRing& keys, WallTime now) {
  const auto live = keys.live(now);
  if (live.empty()) return {};
  auto config = live.front()->config;
  config.key_id = 0;
  return encode_key_config(config);
}

Result<void> EhbpAnswer::seal(BytesView data, Bytes& out) {
  while (!data.empty()) {
    const auto piece = data.first(std::min(data.size(), kEhbpFrameBytesMax));
    const auto sealed = piece.size() + crypto::kAeadTagBytes;
    ByteWriter length;
    length.u32_be(static_cast<std::uint32_t>(sealed));
    out.insert(out.end(), length.bytes().begin(), length.bytes().end());
    const auto begin = out.size();
    out.resize(begin + sealed);
    TACIT_CHECK(sequence_.seal({}, piece, std::span{out}.subspan(begin)));
    data = data.subspan(piece.size());
  }
  return {};
}

// The next frame's ciphertext; one without any is no frame.
Result<std::optional<BytesView>> EhbpOpener::take_frame() {
  for (;;) {
    const auto rest = BytesView{held_}.subspan(begin_);
    ByteReader in{rest};
    const auto length = in.u32_be();
    if (!length && (!ended_ || rest.empty())) return std::nullopt;
    if (!length) return fail(Code::malformed, "body is cut short");
    if (*length == 0) {
      begin_ += kLengthBytes;
      continue;
    }
    if (*length < crypto::kAeadTagBytes) return fail(Code::malformed, "frame without a tag");
    if (*length > frame_bytes_max_ + crypto::kAeadTagBytes) return fail(Code::too_large, "frame");
    if (in.remaining() < *length) {
      if (ended_) return fail(Code::malformed, "body is cut short");
      return std::nullopt;
    }
    begin_ += kLengthBytes + *length;
    return rest.subspan(kLengthBytes, *length);
  }
}

// Tries the keys that live. What opens under one proves that the request was for it.
Result<void> EhbpOpener::open_first(BytesView ciphertext) {
  for (const auto& key : parts_.keys.live(parts_.clock.wall())) {
    auto receiver = request_receiver(kEhbpSuite, *key, enc_, as_bytes(kInfo));
    if (!receiver) return fail(refused());
    if (receiver->open({}, ciphertext, opened_)) {
      receiver_ = *std::move(receiver);
      return {};
    }
  }
  return fail(refused());
}

Result<std::optional<BytesView>> EhbpOpener::next() {
  if (begin_ > 0 && begin_ >= held_.size() - begin_) {
    held_.erase(held_.begin(), held_.begin() + static_cast<std::ptrdiff_t>(begin_));
    begin_ = 0;
  }
  wipe(opened_);
  const auto frame = take_frame();
  if (!frame) return fail(receiver_ ? frame.error() : refused());
  if (!*frame) {
    if (ended_ && !receiver_) return fail(refused());  // nothing in it proves anything
    return std::nullopt;
  }
  opened_.resize((*frame)->size() - crypto::kAeadTagBytes);
  if (!receiver_) {
    TACIT_CHECK(open_first(**frame));
  } else {
    TACIT_CHECK(receiver_->open({}, **frame, opened_));
  }
  return opened_;
}

ReplayNonce EhbpOpener::replay_nonce() const noexcept { return replay_nonce_of(enc_); }

Result<EhbpAnswer> EhbpOpener::answer() const {
  Bytes nonce(response_nonce_bytes(kEhbpSuite.aead));
  crypto::random_bytes(nonce);
  TACIT_TRY(auto sequence, response_sequence(*receiver_, kAnswerLabel, enc_, nonce));
  return EhbpAnswer{std::move(nonce), std::move(sequence)};
}

}  // namespace tacit::seal
