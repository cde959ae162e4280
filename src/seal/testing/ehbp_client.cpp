#include "seal/testing/ehbp_client.hpp"

#include "seal/ehbp.hpp"
#include "seal/response_keys.hpp"

namespace tacit::seal::testing {

Result<EhbpExchange> EhbpExchange::begin(BytesView config) {
  TACIT_TRY(const auto known, parse_key_config(config));
  TACIT_TRY(const auto key, crypto::KemPublicKey::parse(known.kem, known.public_key));
  TACIT_TRY(auto sender, crypto::HpkeSender::setup(kEhbpSuite, key, as_bytes("ehbp request")));
  return EhbpExchange{std::move(sender)};
}

Result<Bytes> EhbpExchange::frame(BytesView data) {
  ByteWriter out;
  out.u32_be(static_cast<std::uint32_t>(data.size() + crypto::kAeadTagBytes));
  Bytes sealed(data.size() + crypto::kAeadTagBytes);
  TACIT_CHECK(sender_.seal({}, data, sealed));
  out.raw(sealed);
  return std::move(out).take();
}

Result<Bytes> EhbpExchange::open(BytesView nonce, BytesView answer) const {
  TACIT_TRY(auto sequence, response_sequence(sender_, "ehbp response", enc(), nonce));
  Bytes message;
  for (ByteReader in{answer}; !in.done();) {
    TACIT_TRY(const auto n, in.u32_be());
    TACIT_TRY(const auto sealed, in.take(n));
    if (n == 0) continue;
    if (n < crypto::kAeadTagBytes) return fail(Code::malformed, "frame without a tag");
    Bytes data(n - crypto::kAeadTagBytes);
    TACIT_CHECK(sequence.open({}, sealed, data));
    message.insert(message.end(), data.begin(), data.end());
  }
  return message;
}

}  // namespace tacit::seal::testing
