// What verified storage costs: hashing against OpenSSL alone, writing a blob against writing a
// file, and reading a GGUF header.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <iostream>
#include <string>
#include <vector>

#include "crypto/hash.hpp"
#include "formats/gguf.hpp"
#include "formats/testing/gguf_builder.hpp"
#include "registry/verification.hpp"
#include "store/blob_store.hpp"
#include "store/testing/temp_folder.hpp"

namespace {

using namespace tacit;  // NOLINT(google-build-using-namespace)

constexpr std::size_t kBytes = 64 * 1024 * 1024;
constexpr std::size_t kBlock = 64 * 1024;  // what a transfer hands over at a time

const Bytes& data() {
  static const Bytes bytes = [] {
    Bytes out(kBytes);
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::byte>(i * 31 >> 3);
    return out;
  }();
  return bytes;
}

void count_bytes(benchmark::State& state) {
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) *
                          static_cast<std::int64_t>(kBytes));
}

// The limit: OpenSSL's digest over memory in one call.
void limit_openssl_sha256(benchmark::State& state) {
  std::array<unsigned char, 32> digest{};
  for (auto _ : state) {
    EVP_Digest(data().data(), data().size(), digest.data(), nullptr, EVP_sha256(), nullptr);
    benchmark::DoNotOptimize(digest);
  }
  count_bytes(state);
}
BENCHMARK(limit_openssl_sha256)->Unit(benchmark::kMillisecond);

void sha256_in_blocks(benchmark::State& state) {
  for (auto _ : state) {
    crypto::Sha256 hash;
    for (std::size_t at = 0; at < kBytes; at += kBlock) {
      hash.update(BytesView{data()}.subspan(at, kBlock));
    }
    benchmark::DoNotOptimize(hash.finish());
  }
  count_bytes(state);
}
BENCHMARK(sha256_in_blocks)->Unit(benchmark::kMillisecond);

// Verifying weights before a load, from the page cache.
void hash_file(benchmark::State& state) {
  const store::testing::TempFolder folder;
  if (!store::write_file_atomically(folder / "a", data())) return state.SkipWithError("write");
  const UniqueFd fd{::open((folder / "a").c_str(), O_RDONLY | O_CLOEXEC)};
  for (auto _ : state) benchmark::DoNotOptimize(registry::hash_file(fd.get()));
  count_bytes(state);
}
BENCHMARK(hash_file)->Unit(benchmark::kMillisecond);

void verify_file_again(benchmark::State& state) {
  const store::testing::TempFolder folder;
  if (!store::write_file_atomically(folder / "a", data())) return state.SkipWithError("write");
  const UniqueFd fd{::open((folder / "a").c_str(), O_RDONLY | O_CLOEXEC)};
  const registry::VerificationCache cache{folder.path()};
  const auto digest = registry::hash_file(fd.get()).value();
  for (auto _ : state) {
    if (!cache.verify(digest, fd.get())) return state.SkipWithError("verify");
  }
}
BENCHMARK(verify_file_again)->Unit(benchmark::kMicrosecond);

// The limit: the same bytes into a file, synced.
void limit_write_and_sync(benchmark::State& state) {
  const store::testing::TempFolder folder;
  for (auto _ : state) {
    const UniqueFd fd{
        ::open((folder / "a").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)};
    for (std::size_t at = 0; at < kBytes; at += kBlock) {
      if (::write(fd.get(), data().data() + at, kBlock) != static_cast<ssize_t>(kBlock)) {
        return state.SkipWithError("write");
      }
    }
    ::fsync(fd.get());
  }
  count_bytes(state);
}
BENCHMARK(limit_write_and_sync)->Unit(benchmark::kMillisecond);

void write_blob(benchmark::State& state) {
  const store::testing::TempFolder folder;
  auto blobs = store::BlobStore::open(folder.path()).value();
  const auto digest = store::Digest::parse(crypto::sha256_hex(data())).value();
  for (auto _ : state) {
    auto writer = blobs->resume(digest, kBytes).value();
    for (std::size_t at = 0; at < kBytes; at += kBlock) {
      if (!writer->append(BytesView{data()}.subspan(at, kBlock))) {
        return state.SkipWithError("append");
      }
    }
    if (!writer->commit() || !blobs->remove(digest)) return state.SkipWithError("commit");
  }
  count_bytes(state);
}
BENCHMARK(write_blob)->Unit(benchmark::kMillisecond);

// A header as large models have it: a vocabulary of 150,000 and 1,000 tensors.
void parse_gguf(benchmark::State& state) {
  formats::testing::GgufBuilder builder;
  std::vector<std::string> tokens;
  for (int i = 0; i < 150'000; ++i) tokens.push_back("token" + std::to_string(i));
  builder.add_texts("tokenizer.ggml.tokens", tokens);
  for (int i = 0; i < 1'000; ++i)
    builder.tensor("blk." + std::to_string(i) + ".weight", {32, 2}, 3);
  const auto bytes = builder.build();
  for (auto _ : state) {
    if (!formats::parse_gguf(bytes, bytes.size())) return state.SkipWithError("parse");
  }
}
BENCHMARK(parse_gguf)->Unit(benchmark::kMicrosecond);

// JSON on standard output, a table on standard error.
class BothReporter final : public benchmark::BenchmarkReporter {
 public:
  BothReporter() {
    table_.SetOutputStream(&std::cerr);
    table_.SetErrorStream(&std::cerr);
    json_.SetOutputStream(&std::cout);
    json_.SetErrorStream(&std::cerr);
  }
  bool ReportContext(const Context& context) override {
    return table_.ReportContext(context) && json_.ReportContext(context);
  }
  void ReportRuns(const std::vector<Run>& runs) override {
    table_.ReportRuns(runs);
    json_.ReportRuns(runs);
  }
  void Finalize() override {
    table_.Finalize();
    json_.Finalize();
  }

 private:
  benchmark::ConsoleReporter table_{benchmark::ConsoleReporter::OO_None};
  benchmark::JSONReporter json_;
};

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  BothReporter reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
  return 0;
}
