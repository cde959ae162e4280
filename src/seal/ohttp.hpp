// Oblivious HTTP, the gateway's side, sans I/O: RFC 9458 ("plain": a message is one ciphertext) and
// draft-ietf-ohai-chunked-ohttp ("chunked": a message streams in numbered chunks with a final one).
// For clients that speak no sealed HTTP. Compared with that, the caller is proved by a header
// inside, answers are keyed by the request's secret (who steals the server's key before it is
// erased opens recorded answers, too), and nothing is padded.
//
// Answers nobody but the sender of the request: what does not open is refused() in every case.
#pragma once

#include "seal/encapsulated.hpp"
#include "seal/key_ring.hpp"

namespace tacit::seal {

inline constexpr std::string_view kOhttpRequestMediaType = "message/ohttp-req";
inline constexpr std::string_view kOhttpAnswerMediaType = "message/ohttp-res";
// The chunked form shares its media types with sealed HTTP (sealed.hpp): the key's number tells
// them apart.
// Where clients find the keys, beside RFC 9540's place: a GET of kSealedPath.
inline constexpr std::string_view kOhttpConfigsPath = "/ohttp-configs";
inline constexpr std::string_view kOhttpKeysMediaType = "application/ohttp-keys";
// The longest plaintext of a chunk: what every receiver must take.
inline constexpr std::size_t kOhttpChunkBytesMax = 16384;

// OhttpKeys holds the server's keys for Oblivious HTTP: one ring for each KEM that is offered.
// Thread-safe.
class OhttpKeys {
 public:
  OhttpKeys();

  // Makes the next key of each KEM. They open requests until `not_after`.
  void rotate(WallTime now, WallTime not_after);
  // The newest of each KEM, the preferred one first: what clients are told.
  std::vector<KeyConfig> configs(WallTime now);
  // The ring of a KEM; null for one that is not offered.
  KeyRing* ring(crypto::KemId kem) noexcept;

 private:
  KeyRing xwing_;
  KeyRing x25519_;
};

struct OhttpParts {
  OhttpKeys& keys;
  const Clock& clock;
};

// What the head of an encapsulated request opens to. Private to the openers.
struct OhttpContext {
  crypto::HpkeReceiver receiver;
  Bytes enc;
  bool known = false;  // the key exists and the suite is one of its own
};

// OhttpOpener opens a plain request. Everything it is given outlives it. Movable.
class OhttpOpener final : public RequestOpener {
 public:
  // A message of more than `message_bytes_max` is refused.
  OhttpOpener(OhttpParts parts, std::size_t message_bytes_max)
      : parts_{parts}, message_bytes_max_{message_bytes_max} {}
  ~OhttpOpener() override;
  OhttpOpener(OhttpOpener&&) noexcept = default;
  OhttpOpener& operator=(OhttpOpener&&) noexcept = delete;

  void feed(BytesView in) override;
  void end() noexcept override { ended_ = true; }
  Result<std::optional<BytesView>> next() override;
  bool authenticated() const noexcept override { return context_.has_value(); }
  bool finished() const noexcept override { return context_.has_value(); }
  ReplyShape shape() const noexcept override;
  std::string_view answer_media_type() const noexcept override { return kOhttpAnswerMediaType; }
  std::optional<ReplayNonce> replay_nonce() const noexcept override;
  Result<std::unique_ptr<AnswerSealer>> answer_sealer() override;

 private:
  OhttpParts parts_;
  std::size_t message_bytes_max_;
  Bytes message_;
  bool ended_ = false;
  std::optional<OhttpContext> context_;  // once opened
};

// ChunkedOhttpOpener opens a chunked request. Likewise.
class ChunkedOhttpOpener final : public RequestOpener {
 public:
  explicit ChunkedOhttpOpener(OhttpParts parts);

  void feed(BytesView in) override { chunks_.feed(in); }
  void end() noexcept override { chunks_.end(); }
  Result<std::optional<BytesView>> next() override;
  bool authenticated() const noexcept override { return authenticated_; }
  bool finished() const noexcept override { return finished_; }
  ReplyShape shape() const noexcept override;
  std::string_view answer_media_type() const noexcept override { return kAnswerMediaType; }
  std::optional<ReplayNonce> replay_nonce() const noexcept override;
  Result<std::unique_ptr<AnswerSealer>> answer_sealer() override;

 private:
  Result<bool> take_head();

  OhttpParts parts_;
  FrameSplitter chunks_;
  std::optional<Bytes> header_;
  std::optional<OhttpContext> context_;
  bool authenticated_ = false;
  bool finished_ = false;
};

}  // namespace tacit::seal
