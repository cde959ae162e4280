// Whatever the bytes, in either direction and in any cut: what a decoder accepts is within the
// limits and comes back the same when encoded again, and frames do not depend on how the stream was
// cut.
#include <algorithm>
#include <vector>

#include "core/text.hpp"
#include "engine/protocol.hpp"
#include "fuzz.hpp"

namespace {

using namespace tacit;          // NOLINT: a fuzzer's own file
using namespace tacit::engine;  // NOLINT

void check_same(BytesView frame, const SecretBytes& again) {
  FUZZ_CHECK(again.size() == frame.size() + 4);
  FUZZ_CHECK(std::ranges::equal(again.reveal().subspan(4), frame));
}

void check_delta(std::string_view text) {
  FUZZ_CHECK(text.size() <= ProtocolLimits::delta_bytes_max);
  FUZZ_CHECK(is_utf8(text));
}

void check_frame(BytesView frame) {
  if (const auto command = decode_command(frame)) {
    check_same(frame, encode_command(*command));
    if (const auto* generate = std::get_if<Generate>(&*command))
      FUZZ_CHECK(check_request(generate->request));
  }
  if (const auto notice = decode_notice(frame)) check_same(frame, encode_notice(*notice));
  if (const auto update = decode_update(frame)) {
    check_same(frame, encode_update(*update));
    if (const auto* delta = std::get_if<domain::TextDelta>(&update->event))
      check_delta(delta->text.reveal());
    if (const auto* call = std::get_if<domain::ToolCallDelta>(&update->event))
      check_delta(call->arguments.reveal());
    if (const auto* delta = std::get_if<domain::ReasoningDelta>(&update->event))
      check_delta(delta->text.reveal());
  }
}

// The frames of a stream that arrives in pieces of at most `piece` bytes, and how it ended.
struct Cut {
  std::vector<Bytes> frames;
  bool failed = false;
};
Cut cut(BytesView stream, std::size_t piece, std::size_t frame_bytes_max) {
  Cut out;
  FrameReader reader{frame_bytes_max};
  while (!stream.empty() && !out.failed) {
    const auto room = reader.buffer();
    FUZZ_CHECK(!room.empty());
    const auto n = std::min({room.size(), stream.size(), piece});
    std::ranges::copy(stream.first(n), room.begin());
    reader.filled(n);
    stream = stream.subspan(n);
    for (;;) {
      const auto frame = reader.next();
      if (!frame) out.failed = true;
      if (!frame || !*frame) break;
      FUZZ_CHECK((*frame)->size() <= frame_bytes_max);
      out.frames.emplace_back((*frame)->begin(), (*frame)->end());
    }
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t piece = data[0] == 0 ? 1 : data[0];
  const BytesView stream{reinterpret_cast<const std::byte*>(data + 1), size - 1};
  check_frame(stream);
  constexpr std::size_t kFrameMax = 4096;
  const auto pieces = cut(stream, piece, kFrameMax);
  const auto whole = cut(stream, stream.size() + 1, kFrameMax);
  FUZZ_CHECK(pieces.frames == whole.frames);
  FUZZ_CHECK(pieces.failed == whole.failed);
  for (const auto& frame : pieces.frames) check_frame(frame);
  return 0;
}
