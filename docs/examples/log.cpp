// Logs through libfastlog from C++: plain, formatted, with fields, and through spdlog.
//
//     c++ -std=c++20 log.cpp $(pkg-config --cflags --libs fastlog) -lfmt -DSPDLOG_FMT_EXTERNAL -o log && ./log
#include <chrono>
#include <iostream>
#include <memory>
#include <string>

#include <fastlog/fastlog.hpp>
#include <fastlog/spdlog_sink.hpp>
#include <spdlog/logger.h>

int main() {
  try {
    fastlog::Log log;
    log.write(FASTLOG_INFO, "plain");
    log.warning("{} of {} are in use", 97, 100);
    log.info("{}", std::string(5000, 'x'));  // longer than a first guess
    const fastlog_field fields[] = {fastlog::field("user", "me"), fastlog::field("from", "here")};
    log.write(FASTLOG_NOTICE, fields, "logged in");
    {
      const fastlog::Reservation given_up = log.reserve(FASTLOG_ERR, 100);
    }  // nothing is written

    const auto sink = std::make_shared<fastlog::SpdlogSink>(std::move(log));
    spdlog::logger logger("app", sink);
    logger.error("disk {} is full", "sda");
    return sink->get().flush(FASTLOG_STORED, std::chrono::seconds(10)) == FASTLOG_OK ? 0 : 1;
  } catch (const fastlog::Error& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
