// The client's side of the sealed channel: one request and its answer, sans I/O.
//
//   auto request = SealedRequest::begin(*RequestDraft::make(server), caller, {}, now);
//   send(request->head());
//   request->write(bhttp, out); ... request->finish(out);   // send(out)
//   auto reply = std::move(*request).reply();
//   reply.feed(received); while (auto data = reply.next()) ...
#pragma once

#include "crypto/kem.hpp"
#include "seal/sealed.hpp"

namespace tacit::seal {

// ServerKey is a server's configuration that the client has decided to trust.
struct ServerKey {
  crypto::KemPublicKey key;
  Binding binding;
};
// Errors: unsupported when the configuration does not offer the sealed suite; as KemPublicKey.
Result<ServerKey> server_key(const KeyConfig& config, const crypto::Sha256Digest& statement_digest);

// SealedReply opens an answer. Movable; not thread-safe.
class SealedReply {
 public:
  // Takes received bytes, and that there are no more.
  void feed(BytesView in) { frames_.feed(in); }
  void end() noexcept { frames_.end(); }

  // The data of the next frame, perhaps empty; a view that dies with the next call. nullopt when
  // more input is needed, or at the end. Errors: corrupt, malformed (cut short...): the answer is
  // worth nothing from there on.
  Result<std::optional<BytesView>> next();
  // Whether the final frame was opened: only then is the answer whole.
  bool finished() const noexcept { return done_; }

 private:
  friend class SealedRequest;
  SealedReply(crypto::KemPrivateKey key, Binding binding, SecretBytes psk, std::size_t frame_bytes);
  Result<bool> set_up();

  crypto::KemPrivateKey key_;
  Binding binding_;
  SecretBytes psk_;
  std::size_t frame_bytes_;
  FrameSplitter frames_;
  std::optional<PaddedReader> reader_;  // once the encapsulated key has come
  bool done_ = false;
};

// RequestDraft is what costs most about a request and needs nothing of it: the reply key and the
// encapsulation. Made ahead of time, no request waits for it. For one request only. Movable.
class RequestDraft {
 public:
  // Errors: as HpkeSender::setup.
  static Result<RequestDraft> make(const ServerKey& server) {
    return make(server, crypto::KemPrivateKey::generate(kSealedSuite.kem));
  }
  // With a chosen reply key: for test vectors.
  static Result<RequestDraft> make(const ServerKey& server, crypto::KemPrivateKey reply_key);
  const Binding& binding() const noexcept { return binding_; }

 private:
  friend class SealedRequest;
  RequestDraft(const Binding& binding, crypto::KemPrivateKey reply_key, crypto::HpkeSender outer)
      : binding_{binding}, reply_key_{std::move(reply_key)}, outer_{std::move(outer)} {}
  Binding binding_;
  crypto::KemPrivateKey reply_key_;
  crypto::HpkeSender outer_;
};

// Freshness is what the server knows a repetition by. A client that has to seal a request once more
// (the connection was lost, the key was an old one) does it with the same: whatever became of the
// first attempt, and whoever made it seem lost, the server runs at most one of them.
struct Freshness {
  ReplayNonce nonce{};
  WallTime made;

  // `now` is the server's time as far as the client knows it.
  static Freshness at(WallTime now);
};

class SealedRequest {
 public:
  // Errors: invalid_argument.
  static Result<SealedRequest> begin(RequestDraft draft, const CallerKey& caller,
                                     const ReplyShape& shape, const Freshness& freshness);
  static Result<SealedRequest> begin(RequestDraft draft, const CallerKey& caller,
                                     const ReplyShape& shape, WallTime now) {
    return begin(std::move(draft), caller, shape, Freshness::at(now));
  }

  // What goes first.
  BytesView head() const noexcept { return head_; }
  // Data; appends what is ready to go to `out`. Then the end.
  Result<void> write(BytesView data, Bytes& out) { return writer_.write(data, out); }
  Result<void> flush(Bytes& out) { return writer_.flush(false, out); }
  Result<void> finish(Bytes& out) { return writer_.finish(out); }

  // The other direction; may be used before this one is finished. Once.
  SealedReply reply();

 private:
  SealedRequest(Bytes head, PaddedWriter writer, SealedReply reply) noexcept
      : head_{std::move(head)}, writer_{std::move(writer)}, reply_{std::move(reply)} {}
  Bytes head_;
  PaddedWriter writer_;
  SealedReply reply_;
};

}  // namespace tacit::seal
