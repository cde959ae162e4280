// A large file written piece by piece that has its name only once it is whole.
#pragma once

#include <cstdint>
#include <filesystem>

#include "core/bytes.hpp"
#include "core/error.hpp"
#include "core/unique_fd.hpp"

namespace tacit::store {

// OutputFile is a temporary file next to `path` until commit() gives it the name, replacing what
// had it. Destroyed earlier, it leaves nothing. Movable; not thread-safe.
class OutputFile {
 public:
  // Deletes what earlier attempts at the same name have left whose processes are gone, and checks
  // that `expected_bytes` fit. Errors: not_found (the folder), permission, no_space (path, need and
  // have), io.
  static Result<OutputFile> create(const std::filesystem::path& path, std::uint64_t expected_bytes);
  ~OutputFile();
  OutputFile(OutputFile&&) noexcept = default;
  OutputFile& operator=(OutputFile&&) = delete;

  // Errors: no_space, io.
  Result<void> append(BytesView bytes);
  std::uint64_t size_bytes() const noexcept { return size_; }
  Result<void> commit();

 private:
  OutputFile(UniqueFd fd, std::filesystem::path temporary, std::filesystem::path path,
             std::uint64_t expected)
      : fd_{std::move(fd)},
        temporary_{std::move(temporary)},
        path_{std::move(path)},
        expected_{expected} {}

  UniqueFd fd_;  // carries the lock that says somebody is at it
  std::filesystem::path temporary_;
  std::filesystem::path path_;
  std::uint64_t expected_;
  std::uint64_t size_ = 0;
};

}  // namespace tacit::store
