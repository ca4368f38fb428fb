// SPDX-License-Identifier: LGPL-2.1-or-later
// What the programs that use libvirt share: owners of its objects, errors, a pool.
#pragma once

#include "measure.hpp"

#include <cstdlib>
#include <memory>
#include <stdexcept>

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

namespace bench {

struct Release {
    void operator()(virConnectPtr connection) const { virConnectClose(connection); }
    void operator()(virStoragePoolPtr pool) const { virStoragePoolFree(pool); }
    void operator()(virStorageVolPtr volume) const { virStorageVolFree(volume); }
    void operator()(char* text) const { std::free(text); }
};
using Connection = std::unique_ptr<virConnect, Release>;
using Pool = std::unique_ptr<virStoragePool, Release>;
using Volume = std::unique_ptr<virStorageVol, Release>;
using Text = std::unique_ptr<char, Release>;

inline void quiet(void*, virErrorPtr) {}

[[noreturn]] inline void fail(const std::string& what)
{
    const virErrorPtr error = virGetLastError();
    throw std::runtime_error(what + ": " + (error && error->message ? error->message : "unknown"));
}

inline void check(int result, const std::string& what)
{
    if (result < 0)
        fail(what);
}

template <typename Pointer>
auto required(Pointer pointer, const std::string& what)
{
    if (!pointer)
        fail(what);
    return pointer;
}

inline Connection connect(const Arguments& arguments)
{
    virSetErrorFunc(nullptr, quiet);
    return Connection(required(virConnectOpen(arguments.text("uri").c_str()), "connect"));
}

inline std::string pool_xml(const std::string& name, const std::string& dir)
{
    return "<pool type='dir'><name>" + name + "</name><target><path>" + dir +
           "</path></target></pool>";
}

inline Pool define(const Connection& connection, const std::string& name, const std::string& dir)
{
    return Pool(required(virStoragePoolDefineXML(connection.get(), pool_xml(name, dir).c_str(), 0),
                         "define"));
}

inline void start(const Pool& pool)
{
    check(virStoragePoolCreate(pool.get(), 0), "start");
}
inline void refresh(const Pool& pool)
{
    check(virStoragePoolRefresh(pool.get(), 0), "refresh");
}

inline void remove(const Pool& pool)
{
    check(virStoragePoolDestroy(pool.get()), "stop");
    check(virStoragePoolUndefine(pool.get()), "undefine");
}

} // namespace bench
