#include "seal/testing/ohttp_client.hpp"

#include <algorithm>

#include "seal/ohttp.hpp"
#include "seal/response_keys.hpp"
#include "seal/varint.hpp"

namespace tacit::seal::testing {

Result<OhttpExchange> OhttpExchange::begin(OhttpForm form, const KeyConfig& config,
                                           const SymmetricSuite& suite) {
  const crypto::HpkeSuite hpke{config.kem, suite.kdf, suite.aead};
  auto header = encode_request_header(config.key_id, hpke);
  ByteWriter info;
  info.raw(std::string_view{form == OhttpForm::plain ? "message/bhttp request"
                                                     : "message/bhttp chunked request"});
  info.u8(0);
  info.raw(header);
  TACIT_TRY(const auto key, crypto::KemPublicKey::parse(config.kem, config.public_key));
  TACIT_TRY(auto sender, crypto::HpkeSender::setup(hpke, key, info.bytes()));
  return OhttpExchange{form, std::move(header), std::move(sender)};
}

Result<Bytes> OhttpExchange::request(BytesView message, std::size_t chunk_bytes) {
  auto out = header_;
  out.insert(out.end(), sender_.enc().begin(), sender_.enc().end());
  bool final = false;
  while (!final) {
    const auto n =
        form_ == OhttpForm::plain ? message.size() : std::min(message.size(), chunk_bytes);
    final = n == message.size();
    if (form_ == OhttpForm::chunked) put_varint(out, final ? 0 : n + crypto::kAeadTagBytes);
    const auto begin = out.size();
    out.resize(begin + n + crypto::kAeadTagBytes);
    const auto aad = as_bytes(form_ == OhttpForm::chunked && final ? "final" : "");
    TACIT_CHECK(sender_.seal(aad, message.first(n), std::span{out}.subspan(begin)));
    message = message.subspan(n);
  }
  return out;
}

Result<Bytes> OhttpExchange::open(BytesView answer) const {
  const auto nonce_bytes = response_nonce_bytes(sender_.suite().aead);
  if (answer.size() < nonce_bytes + crypto::kAeadTagBytes) {
    return fail(Code::malformed, "answer is cut short");
  }
  const auto* label =
      form_ == OhttpForm::plain ? "message/bhttp response" : "message/bhttp chunked response";
  TACIT_TRY(auto sequence,
            response_sequence(sender_, label, sender_.enc(), answer.first(nonce_bytes)));
  answer = answer.subspan(nonce_bytes);
  Bytes message;
  if (form_ == OhttpForm::plain) {
    message.resize(answer.size() - crypto::kAeadTagBytes);
    TACIT_CHECK(sequence.open({}, answer, message));
    return message;
  }
  FrameOpenKeys keys{std::move(sequence)};
  FrameSplitter chunks{kOhttpChunkBytesMax + crypto::kAeadTagBytes, FrameSplitter::LengthForm::any};
  chunks.feed(answer);
  chunks.end();
  while (!chunks.finished()) {
    TACIT_TRY(const auto chunk, chunks.next());
    TACIT_TRY(const auto data, open_frame(keys, *chunk));
    message.insert(message.end(), data.begin(), data.end());
  }
  return message;
}

}  // namespace tacit::seal::testing
