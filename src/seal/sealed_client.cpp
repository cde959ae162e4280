#include "seal/sealed_client.hpp"

#include <algorithm>

#include "crypto/random.hpp"

namespace tacit::seal {

Result<ServerKey> server_key(const KeyConfig& config,
                             const crypto::Sha256Digest& statement_digest) {
  constexpr SymmetricSuite wanted{kSealedSuite.kdf, kSealedSuite.aead};
  if (config.kem != kSealedSuite.kem || config.key_id < kSealedKeyIdMin ||
      std::ranges::find(config.suites, wanted) == config.suites.end()) {
    return fail(Code::unsupported, "the server's key is not for the sealed channel, version 1");
  }
  TACIT_TRY(auto key, crypto::KemPublicKey::parse(config.kem, config.public_key));
  return ServerKey{std::move(key),
                   {config.key_id, crypto::sha256(encode_key_config(config)), statement_digest}};
}

Result<RequestDraft> RequestDraft::make(const ServerKey& server, crypto::KemPrivateKey reply_key) {
  const auto info = sealed_info(Direction::request, server.binding);
  TACIT_TRY(auto outer, crypto::HpkeSender::setup(kSealedSuite, server.key, info));
  return RequestDraft{server.binding, std::move(reply_key), std::move(outer)};
}

Freshness Freshness::at(WallTime now) {
  Freshness freshness{{}, now};
  crypto::random_bytes(freshness.nonce);
  return freshness;
}

Result<SealedRequest> SealedRequest::begin(RequestDraft draft, const CallerKey& caller,
                                           const ReplyShape& shape, const Freshness& freshness) {
  const auto info = sealed_info(Direction::request, draft.binding_);
  auto& outer = draft.outer_;
  Prelude prelude{shape, freshness.made, freshness.nonce, caller.id, {}};
  const auto reply_public = draft.reply_key_.public_bytes();
  prelude.reply_key.assign(reply_public.begin(), reply_public.end());

  auto head = encode_request_header(draft.binding_.key_id, kSealedSuite);
  head.insert(head.end(), outer.enc().begin(), outer.enc().end());
  TACIT_TRY(auto inner, inner_sender(outer, info, caller.psk.reveal(), caller.id));
  TACIT_TRY(auto psk, reply_psk(inner));
  FrameSealer first{std::move(outer)};
  TACIT_CHECK(first.seal(encode_prelude(prelude), false, head));
  return SealedRequest{std::move(head),
                       PaddedWriter{FrameSealer{std::move(inner)}, kFrameBytesMax, false},
                       SealedReply{std::move(draft.reply_key_), draft.binding_, std::move(psk),
                                   shape.frame_bytes()}};
}

SealedReply SealedRequest::reply() { return std::move(reply_); }

SealedReply::SealedReply(crypto::KemPrivateKey key, Binding binding, SecretBytes psk,
                         std::size_t frame_bytes)
    : key_{std::move(key)},
      binding_{binding},
      psk_{std::move(psk)},
      frame_bytes_{frame_bytes},
      frames_{frame_bytes + crypto::kAeadTagBytes} {}

Result<bool> SealedReply::set_up() {
  if (reader_) return true;
  TACIT_TRY(const auto enc, frames_.take_raw(kSealedEncBytes));
  if (!enc) return false;
  const auto info = sealed_info(Direction::response, binding_);
  TACIT_TRY(const auto outer, crypto::HpkeReceiver::setup(kSealedSuite, key_, *enc, info));
  TACIT_TRY(auto inner, inner_receiver(outer, info, psk_.reveal(), as_bytes(kReplyPskId)));
  reader_.emplace(std::move(inner), frame_bytes_);
  return true;
}

Result<std::optional<BytesView>> SealedReply::next() {
  TACIT_TRY(const auto ready, set_up());
  if (!ready) return std::nullopt;
  TACIT_TRY(const auto frame, frames_.next());
  if (!frame) return std::nullopt;
  TACIT_TRY(const auto data, reader_->open(*frame));
  done_ = frame->final;
  return data;
}

}  // namespace tacit::seal
