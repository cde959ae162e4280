// A request of Oblivious HTTP altered by a stranger: the server opens nothing but what the client
// sealed, takes nothing else for whole, and refuses everything else in the same words. The first
// byte chooses form, KEM and AEAD; the rest is a list of edits.
#include "fuzz.hpp"
#include "seal/ohttp.hpp"
#include "seal/testing/ohttp_client.hpp"
#include "sealed_edits.hpp"

using namespace tacit;
using seal::testing::OhttpForm;

namespace {

constexpr std::size_t kMessageBytesMax = 4096;

struct Case {
  OhttpForm form = OhttpForm::plain;
  Bytes wire;
};

struct World {
  ManualClock clock;
  seal::OhttpKeys keys;
  std::string text = std::string(700, 's');
  std::vector<Case> cases;

  World() {
    keys.rotate(clock.wall(), clock.wall() + Seconds{600});
    for (const auto& config : keys.configs(clock.wall())) {
      for (const auto& suite : config.suites) {
        for (const auto form : {OhttpForm::plain, OhttpForm::chunked}) {
          auto client = seal::testing::OhttpExchange::begin(form, config, suite).value();
          // Three chunks, so that they can be exchanged.
          cases.push_back({form, client.request(as_bytes(text), 300).value()});
        }
      }
    }
  }
};

bool same_lengths(BytesView a, BytesView b) { return a.size() == b.size(); }

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  static World world;
  const auto& chosen = world.cases[data[0] % world.cases.size()];
  const auto wire = fuzz::edited(chosen.wire, data + 1, size - 1);
  const seal::OhttpParts parts{world.keys, world.clock};
  std::unique_ptr<seal::RequestOpener> opener;
  if (chosen.form == OhttpForm::plain) {
    opener = std::make_unique<seal::OhttpOpener>(parts, kMessageBytesMax);
  } else {
    opener = std::make_unique<seal::ChunkedOhttpOpener>(parts);
  }
  opener->feed(wire);
  opener->end();
  std::string opened;
  bool failed = false;
  while (!failed && !opener->finished()) {
    const auto more = opener->next();
    failed = !more;
    if (failed && !opener->authenticated()) {
      FUZZ_CHECK(more.error().message() == seal::refused().message());
    }
    if (!failed) FUZZ_CHECK(more->has_value());  // all input is there: it opens or it fails
    if (!failed) opened += as_text(**more);
  }
  FUZZ_CHECK(world.text.starts_with(opened));
  if (!opener->finished()) return 0;
  FUZZ_CHECK(opened == world.text);
  // Whole, and yet not what was sent? Only the lengths of chunks may be written otherwise.
  if (wire != chosen.wire) {
    FUZZ_CHECK(chosen.form == OhttpForm::chunked && !same_lengths(wire, chosen.wire));
  }
  return 0;
}
