#include "registry/range_download.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "async/wait.hpp"
#include "core/text.hpp"
#include "registry/name.hpp"
#include "registry/transfer.hpp"
#include "registry/url.hpp"

namespace tacit::registry {
namespace {

constexpr std::size_t kBlockBytes = 256 * 1024;

// What another mirror may do better.
bool worth_another_mirror(const Error& error) {
  switch (error.code()) {
    case Code::not_found:
    case Code::forbidden:
    case Code::unavailable:
    case Code::unsupported:
    case Code::malformed:
    case Code::corrupt: return true;
    default: return false;
  }
}

}  // namespace

Error status_error(int status) {
  if (status == 404 || status == 410) {
    return Error{Code::not_found, "the server does not have it"}.with("status", status);
  }
  if (status == 401 || status == 403 || status == 407) {
    return Error{Code::forbidden, "the server or a proxy refused"}
        .with("status", status)
        .fix("Check that you may have it: a token or login, and the terms of its publisher");
  }
  if (status == 408 || status == 429 || status >= 500) {
    return Error{Code::unavailable, "the server is in trouble"}.with("status", status);
  }
  return Error{Code::unsupported, "the server gave an unexpected answer"}.with("status", status);
}

RangeDownload::RangeDownload(http::Client& client, std::vector<RemoteFile> mirrors,
                             std::uint64_t size_bytes, const TransferLimits& limits,
                             std::uint64_t bytes_per_second, Logger& log)
    : client_{client},
      mirrors_{std::move(mirrors)},
      size_bytes_{size_bytes},
      limits_{limits},
      bytes_per_second_{bytes_per_second},
      log_{log} {}

Async<void> RangeDownload::run(store::BlobWriter& writer, std::function<void()> progress,
                               Deadline deadline) {
  Error last{Code::unavailable, "there is no address to get the file from"};
  for (const auto& mirror : mirrors_) {
    const auto once = [&] { return attempt(mirror, writer, progress, deadline); };
    auto done = co_await with_retries(once, writer, limits_, log_, deadline);
    if (done) co_return done;
    last = std::move(done).error();
    if (last.subject().empty()) last = std::move(last).about(printable(host_of(mirror.url)));
    if (!worth_another_mirror(last)) break;
  }
  co_return fail(std::move(last));
}

Async<void> RangeDownload::attempt(const RemoteFile& mirror, store::BlobWriter& writer,
                                   const std::function<void()>& progress, Deadline deadline) {
  if (writer.offset() == size_bytes_) co_return Result<void>{};
  const auto first = writer.offset();
  const auto last = size_bytes_ - 1;
  http::Headers headers;
  headers.set("Accept", "*/*");
  headers.set("Accept-Encoding", "identity");
  headers.set("Range", "bytes=" + std::to_string(first) + "-" + std::to_string(last));
  if (!mirror.authorization.empty()) headers.set("Authorization", mirror.authorization);
  const std::string method = "GET";
  auto response = co_await client_.send(method, mirror.url, std::move(headers), BytesView{},
                                        deadline.at_most(limits_.request_timeout));
  if (!response) co_return fail(transfer_error(std::move(response).error()));
  const auto& head = (*response)->head();
  if (head.status != 200 && head.status != 206) co_return fail(status_error(head.status));
  std::uint64_t skip = 0;
  if (head.status == 206) {
    const auto total =
        content_range_total(head.headers.find("content-range").value_or(""), first, last);
    if (!total) co_return fail(Code::unavailable, "the server sent another part of the file");
    if (*total != size_bytes_) {
      co_return fail(Error{Code::corrupt, "the server's file has another size"}
                         .with("bytes", static_cast<std::int64_t>(*total))
                         .with("expected", static_cast<std::int64_t>(size_bytes_)));
    }
  } else {
    // It cannot send parts: what is there already is read past.
    const auto stated = parse_u64(head.headers.find("content-length").value_or(""));
    if (stated && *stated != size_bytes_) {
      co_return fail(Error{Code::corrupt, "the server's file has another size"}
                         .with("bytes", static_cast<std::int64_t>(*stated))
                         .with("expected", static_cast<std::int64_t>(size_bytes_)));
    }
    skip = first;
  }
  Bytes block(kBlockBytes);
  while (writer.offset() < size_bytes_) {
    auto got = co_await (*response)->read_some(block, deadline.at_most(limits_.stall_timeout));
    if (!got) co_return fail(transfer_error(std::move(got).error()));
    if (*got == 0) co_return fail(Code::unavailable, "the server ended the transfer too early");
    auto part = BytesView{block}.first(*got);
    const auto past = static_cast<std::size_t>(std::min<std::uint64_t>(skip, part.size()));
    skip -= past;
    part = part.subspan(past);
    TACIT_CO_CHECK(writer.append(part));
    if (bytes_per_second_ > 0) TACIT_CO_CHECK(co_await keep_to_limit(*got, deadline));
    progress();
  }
  co_return Result<void>{};
}

Async<void> RangeDownload::keep_to_limit(std::size_t bytes, Deadline deadline) {
  const auto now = std::chrono::steady_clock::now();
  // What was not used is lost, so that a pause is not followed by a flood.
  paid_until_ = std::max(paid_until_, now);
  paid_until_ += std::chrono::duration_cast<SteadyTime::duration>(std::chrono::duration<double>(
      static_cast<double>(bytes) / static_cast<double>(bytes_per_second_)));
  co_return co_await async::sleep_until(std::min(paid_until_, deadline.when()));
}

}  // namespace tacit::registry
