// EHBP, the Encrypted HTTP Body Protocol, the server's side, sans I/O: bodies are sealed,
// everything else of HTTP travels in clear. For clients that speak nothing better. Its known
// weaknesses are the protocol's: a body cut between two frames is not noticed, method, path, status
// and headers (the API key, too) are neither hidden nor authenticated, and every length shows.
//
//   request   Ehbp-Encapsulated-Key: hex(enc), body = { u32 length ‖ ciphertext }...
//   answer    Ehbp-Response-Nonce: hex(nonce), body likewise
//
// X25519, HKDF-SHA256, AES-256-GCM; info "ehbp request"; answers are keyed as in Oblivious HTTP,
// with the label "ehbp response".
#pragma once

#include <optional>

#include "seal/encapsulated.hpp"
#include "seal/key_ring.hpp"

namespace tacit::seal {

inline constexpr std::string_view kEhbpKeysPath = "/.well-known/hpke-keys";
inline constexpr std::string_view kEhbpKeyField = "ehbp-encapsulated-key";
inline constexpr std::string_view kEhbpNonceField = "ehbp-response-nonce";
inline constexpr crypto::HpkeSuite kEhbpSuite{
    crypto::KemId::dhkem_x25519, crypto::KdfId::hkdf_sha256, crypto::AeadId::aes_256_gcm};
inline constexpr std::size_t kEhbpEncBytes = crypto::kem_sizes(kEhbpSuite.kem).enc;
// What an answer's frame holds at most.
inline constexpr std::size_t kEhbpFrameBytesMax = 65536;

// The keys of EHBP. A request does not say which one it is for: all that live are tried.
KeyKind ehbp_key_kind();
// What clients are told: the newest key, as number 0, which is all that they know. One
// configuration without a length before it, although they call it application/ohttp-keys.
Bytes ehbp_key_config(KeyRing& keys, WallTime now);

// EhbpAnswer seals an answer's body. Movable; not thread-safe.
class EhbpAnswer {
 public:
  // Of the header that the answer must carry.
  BytesView nonce() const noexcept { return nonce_; }
  // Appends frames with `data` to `out`; none for no data.
  Result<void> seal(BytesView data, Bytes& out);

 private:
  friend class EhbpOpener;
  EhbpAnswer(Bytes nonce, crypto::AeadSequence sequence) noexcept
      : nonce_{std::move(nonce)}, sequence_{std::move(sequence)} {}
  Bytes nonce_;
  crypto::AeadSequence sequence_;
};

// EhbpOpener opens a request's body. Not thread-safe. What it is given outlives it.
class EhbpOpener {
 public:
  struct Parts {
    KeyRing& keys;
    const Clock& clock;
  };
  // `enc` comes from the header. A frame of more than `frame_bytes_max` is refused.
  EhbpOpener(Parts parts, BytesView enc, std::size_t frame_bytes_max)
      : parts_{parts}, enc_{enc.begin(), enc.end()}, frame_bytes_max_{frame_bytes_max} {}
  ~EhbpOpener() { wipe(opened_); }
  EhbpOpener(const EhbpOpener&) = delete;
  EhbpOpener& operator=(const EhbpOpener&) = delete;

  void feed(BytesView in) { held_.insert(held_.end(), in.begin(), in.end()); }
  void end() noexcept { ended_ = true; }
  // The data of the next frame; a view that dies with the next call. nullopt when more input is
  // needed, or at the end. Errors: refused() before authenticated(); then corrupt, malformed,
  // too_large.
  Result<std::optional<BytesView>> next();
  bool authenticated() const noexcept { return receiver_.has_value(); }
  // Whether the end has come, with nothing left: all that this protocol knows of an end.
  bool finished() const noexcept { return receiver_ && ended_ && begin_ == held_.size(); }

  // As RequestOpener's.
  ReplayNonce replay_nonce() const noexcept;
  // After authenticated().
  Result<EhbpAnswer> answer() const;

 private:
  Result<std::optional<BytesView>> take_frame();
  Result<void> open_first(BytesView ciphertext);

  Parts parts_;
  Bytes enc_;
  std::size_t frame_bytes_max_;
  Bytes held_;
  std::size_t begin_ = 0;  // of what was not yet taken
  bool ended_ = false;
  Bytes opened_;
  std::optional<crypto::HpkeReceiver> receiver_;
};

}  // namespace tacit::seal
