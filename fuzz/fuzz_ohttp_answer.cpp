// An answer of Oblivious HTTP altered by a stranger: the client gets what the server sealed, whole,
// or an error. The first byte chooses the form; the rest is a list of edits.
#include "fuzz.hpp"
#include "seal/ohttp.hpp"
#include "seal/testing/ohttp_client.hpp"
#include "sealed_edits.hpp"

using namespace tacit;
using seal::testing::OhttpExchange;
using seal::testing::OhttpForm;

namespace {

struct Case {
  OhttpExchange client;
  Bytes wire;
};

struct World {
  ManualClock clock;
  seal::OhttpKeys keys;
  std::string text = std::string(700, 'a');
  std::vector<Case> cases;

  World() {
    keys.rotate(clock.wall(), clock.wall() + Seconds{600});
    const auto config = keys.configs(clock.wall()).back();
    const seal::OhttpParts parts{keys, clock};
    for (const auto form : {OhttpForm::plain, OhttpForm::chunked}) {
      auto client = OhttpExchange::begin(form, config, config.suites.front()).value();
      std::unique_ptr<seal::RequestOpener> opener;
      if (form == OhttpForm::plain) {
        opener = std::make_unique<seal::OhttpOpener>(parts, 4096);
      } else {
        opener = std::make_unique<seal::ChunkedOhttpOpener>(parts);
      }
      opener->feed(client.request(as_bytes("question")).value());
      opener->end();
      FUZZ_CHECK(opener->next().has_value());
      const auto sealer = opener->answer_sealer().value();
      Bytes wire{sealer->head().begin(), sealer->head().end()};
      for (std::size_t i = 0; i < text.size(); i += 300) {
        FUZZ_CHECK(sealer->write(as_bytes(text.substr(i, 300)), wire).has_value());
        FUZZ_CHECK(sealer->flush(false, wire).has_value());
      }
      FUZZ_CHECK(sealer->finish(wire).has_value());
      cases.push_back({std::move(client), std::move(wire)});
    }
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  static World world;
  const auto& chosen = world.cases[data[0] % world.cases.size()];
  const auto wire = fuzz::edited(chosen.wire, data + 1, size - 1);
  const auto opened = chosen.client.open(wire);
  if (wire == chosen.wire) FUZZ_CHECK(opened.has_value());
  if (opened) FUZZ_CHECK(as_text(*opened) == world.text);
  // No flipped bit opens; only a chunk's length may be written in more bytes.
  if (opened && wire.size() == chosen.wire.size()) FUZZ_CHECK(wire == chosen.wire);
  return 0;
}
