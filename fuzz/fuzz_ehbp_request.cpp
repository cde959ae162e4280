// A body sealed with EHBP and altered by a stranger: the server opens frames of the client's, from
// the first one on, and nothing else. (That it may be cut between two frames is the protocol's.)
// The input is a list of edits; those beyond the body alter the encapsulated key.
#include "fuzz.hpp"
#include "seal/ehbp.hpp"
#include "seal/testing/ehbp_client.hpp"
#include "sealed_edits.hpp"

using namespace tacit;

namespace {

constexpr std::size_t kFrameBytesMax = 1024;

struct World {
  ManualClock clock;
  seal::KeyRing keys{seal::ehbp_key_kind()};
  Bytes wire;  // enc, and the body
  std::string text;

  World() {
    auto draft = keys.draft();
    const auto now = clock.wall();
    keys.add({std::move(draft.key), std::move(draft.config), {}, now, now + Seconds{600}}, now);
    auto client = seal::testing::EhbpExchange::begin(seal::ehbp_key_config(keys, now)).value();
    wire.assign(client.enc().begin(), client.enc().end());
    for (const char letter : {'a', 'b', 'c'}) {
      const std::string piece(200, letter);
      const auto frame = client.frame(as_bytes(piece)).value();
      wire.insert(wire.end(), frame.begin(), frame.end());
      text += piece;
    }
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static World world;
  auto wire = fuzz::edited(world.wire, data, size);
  if (wire.size() < seal::kEhbpEncBytes) return 0;
  const auto enc = BytesView{wire}.first(seal::kEhbpEncBytes);
  seal::EhbpOpener opener{{world.keys, world.clock}, enc, kFrameBytesMax};
  opener.feed(BytesView{wire}.subspan(seal::kEhbpEncBytes));
  opener.end();
  std::string opened;
  bool failed = false;
  while (!failed) {
    const auto more = opener.next();
    failed = !more;
    if (failed && !opener.authenticated()) {
      FUZZ_CHECK(more.error().message() == seal::refused().message());
    }
    if (failed || !*more) break;
    opened += as_text(**more);
  }
  FUZZ_CHECK(world.text.starts_with(opened));
  FUZZ_CHECK(opened.size() % 200 == 0);
  if (!failed) FUZZ_CHECK(opener.finished());
  if (wire.size() == world.wire.size() && wire != world.wire) {
    FUZZ_CHECK(failed || opened.size() < world.text.size());
  }
  return 0;
}
