// What the two ends of the sealed channel, version 1, have in common. docs/spec/sealed-http.md is
// the specification; the names here are its names.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/bytes.hpp"
#include "core/secret.hpp"
#include "core/time.hpp"
#include "crypto/hash.hpp"
#include "seal/frames.hpp"
#include "seal/key_config.hpp"
#include "seal/replay_cache.hpp"

namespace tacit::seal {

inline constexpr crypto::HpkeSuite kSealedSuite{
    crypto::KemId::mlkem768_x25519, crypto::KdfId::hkdf_sha256, crypto::AeadId::aes_256_gcm};
// Where a server answers, and the media types (docs/spec/sealed-http.md). The second path is RFC
// 9540's default place of a gateway.
inline constexpr std::string_view kEvidencePath = "/.well-known/tacit/evidence";
inline constexpr std::string_view kSealedPath = "/.well-known/ohttp-gateway";
inline constexpr std::string_view kRequestMediaType = "message/ohttp-chunked-req";
inline constexpr std::string_view kAnswerMediaType = "message/ohttp-chunked-res";
// Numbers from here on belong to sealed configurations, smaller ones to plain Oblivious HTTP.
inline constexpr std::uint8_t kSealedKeyIdMin = 0x80;

inline constexpr std::size_t kSealedEncBytes = crypto::kem_sizes(kSealedSuite.kem).enc;
inline constexpr std::size_t kSealedPublicKeyBytes = crypto::kem_sizes(kSealedSuite.kem).public_key;
inline constexpr std::size_t kPreludeBytes = 1280;
// The longest plaintext of a frame, and what its own header takes of it.
inline constexpr std::size_t kFrameBytesMax = 65536;
inline constexpr std::size_t kFrameHeaderBytes = 3;

using PskId = std::array<std::byte, 16>;

// CallerKey proves the caller inside the channel. Both sides derive it from the API key.
struct CallerKey {
  SecretBytes psk;  // 32 bytes
  PskId id{};
};
// `digest` is the SHA-256 of the API key: as secret as the key itself, here.
CallerKey caller_key(const crypto::Sha256Digest& digest);
// For servers that answer anyone.
CallerKey anonymous_caller();

// ReplyShape is how the client wants the answer to look from outside.
struct ReplyShape {
  static constexpr std::uint8_t kFrameBitsMin = 8;
  static constexpr std::uint8_t kFrameBitsMax = 16;
  static constexpr std::uint16_t kWhole = 0xffff;

  std::uint8_t frame_bits = 9;  // every frame holds 2^frame_bits bytes
  // 0: a frame leaves as soon as there is something to say. Else one leaves every so many
  // milliseconds, whether there is or not. kWhole: nothing leaves before the answer is complete.
  std::uint16_t pace_ms = 0;

  std::size_t frame_bytes() const noexcept { return std::size_t{1} << frame_bits; }
  friend bool operator==(const ReplyShape&, const ReplyShape&) = default;
};

// Prelude is the first sealed message of a request. Its size never differs.
struct Prelude {
  ReplyShape shape;
  WallTime made;  // in whole milliseconds
  ReplayNonce nonce{};
  PskId psk_id{};
  Bytes reply_key;  // kSealedPublicKeyBytes, of this request alone
};
std::array<std::byte, kPreludeBytes> encode_prelude(const Prelude& prelude);
// Errors: malformed, unsupported (version).
Result<Prelude> parse_prelude(BytesView bytes);

// Binding is what both directions bind into HPKE's info, beside the direction itself.
struct Binding {
  std::uint8_t key_id = 0;
  crypto::Sha256Digest config_digest{};     // SHA-256 of the key configuration
  crypto::Sha256Digest statement_digest{};  // SHA-256 of the statement that vouches for it
};
enum class Direction : std::uint8_t { request, response };
Bytes sealed_info(Direction direction, const Binding& binding);

// The context that carries the frames: PSK mode, chained to the context that the KEM made.
Result<crypto::HpkeSender> inner_sender(const crypto::HpkeContext& outer, BytesView info,
                                        BytesView psk, BytesView psk_id);
Result<crypto::HpkeReceiver> inner_receiver(const crypto::HpkeContext& outer, BytesView info,
                                            BytesView psk, BytesView psk_id);
// The PSK of the reply, and its name.
Result<SecretBytes> reply_psk(const crypto::HpkeContext& inner);
inline constexpr std::string_view kReplyPskId = "tacit reply";

// PaddedWriter fills frames with a stream of bytes and pads it. With `constant`, every frame has
// `frame_bytes`; else the last one may be shorter. All together have the size of a bucket (a whole
// number of frames with `constant`). Movable; not thread-safe.
class PaddedWriter {
 public:
  PaddedWriter(FrameSealer sealer, std::size_t frame_bytes, bool constant);

  // Takes data and sends nothing yet.
  void append(BytesView data);
  // Takes data and appends the frames that it fills to `out`.
  Result<void> write(BytesView data, Bytes& out);
  // Sends what waits, in a frame that is padded; or, with `even_empty`, a frame of padding.
  Result<void> flush(bool even_empty, Bytes& out);
  // Sends the rest, the padding and the final frame.
  Result<void> finish(Bytes& out);
  // Bytes that wait for a frame.
  std::size_t pending() const noexcept { return pending_.size() - pending_begin_; }

 private:
  Result<void> emit(std::size_t plaintext_bytes, bool final, Bytes& out);

  FrameSealer sealer_;
  std::size_t frame_bytes_;
  bool constant_;
  std::size_t sent_ = 0;  // plaintext bytes in frames so far
  SecretText pending_;
  std::size_t pending_begin_ = 0;
};

// PaddedReader opens frames and takes their data out. Movable; not thread-safe.
class PaddedReader {
 public:
  // `frame_bytes` is what every frame must have; 0: any size up to kFrameBytesMax.
  PaddedReader(FrameOpenKeys keys, std::size_t frame_bytes) noexcept
      : keys_{std::move(keys)}, frame_bytes_{frame_bytes} {}

  // Opens a frame in place and returns its data, a view of the same bytes. Errors: corrupt,
  // malformed.
  Result<BytesView> open(const FrameSplitter::Frame& frame);

 private:
  FrameOpenKeys keys_;
  std::size_t frame_bytes_;
};

}  // namespace tacit::seal
