// Boost.JSON is compiled here, once for the program; everybody else includes <boost/json.hpp> alone.
#include <boost/json/src.hpp>
