// Binary HTTP from a stranger, cut anywhere: never more than the limits, the same result for every
// cut, and what is read comes back when it is written and read again.
#include <cstdlib>

#include "seal/bhttp.hpp"

using namespace tacit;
using tacit::seal::BhttpDecoder;

namespace {

struct Outcome {
  bool ok = false;
  seal::BhttpRequest request;
  seal::BhttpResponse response;
  SecretText content;
};

Outcome read(BytesView message, BhttpDecoder::Kind kind, std::size_t piece) {
  Outcome out;
  BhttpDecoder decoder{kind, {4096, 20}};
  for (std::size_t at = 0; at < message.size(); at += piece) {
    const auto part = message.subspan(at, std::min(piece, message.size() - at));
    if (!decoder.feed(part, out.content)) return out;
  }
  out.ok = decoder.end().has_value();
  out.request = std::move(decoder.request());
  out.response = std::move(decoder.response());
  return out;
}

template <class Head>
void check(BytesView input, BhttpDecoder::Kind kind, std::size_t piece, Head Outcome::* head) {
  auto once = read(input, kind, input.size() + 1);
  auto pieces = read(input, kind, piece);
  if (once.ok != pieces.ok) std::abort();
  if (!once.ok) return;
  if (once.content.reveal() != pieces.content.reveal()) std::abort();
  if ((once.*head).fields != (pieces.*head).fields) std::abort();
  auto again = seal::bhttp_head(once.*head);
  seal::put_bhttp_content(again, as_bytes(once.content.reveal()));
  seal::put_bhttp_end(again);
  auto back = read(again, kind, again.size());
  // Written anew it may pass the limit of its head by a byte or two, but never differ.
  if (!back.ok) return;
  if (back.content.reveal() != once.content.reveal()) std::abort();
  if ((back.*head).fields != (once.*head).fields) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const BytesView input{reinterpret_cast<const std::byte*>(data) + 1, size - 1};
  const std::size_t piece = 1 + data[0] % 64;
  check(input, BhttpDecoder::Kind::request, piece, &Outcome::request);
  check(input, BhttpDecoder::Kind::response, piece, &Outcome::response);
  return 0;
}
