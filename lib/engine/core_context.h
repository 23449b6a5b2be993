/// @file
/// What the documents of a peer share.
#pragma once

#include "base/env.h"
#include "base/presence.h"
#include "base/store.h"
#include "crdt/seal.h"
#include "joinery/authority.h"
#include "joinery/peer.h"

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

namespace joinery::detail {

/// As whom a process writes.
struct Author {
    crdt::ActorProof proof;
    ActorId actor;

    static Author of(const crdt::ActorProof& proof) { return {proof, crdt::actor_of(proof)}; }
};

/// A sign that others have changes of the actor as which this process writes that it never made, or
/// made otherwise: the store was copied or put back to an older state.
struct Overtaken {
    ActorId actor;
    std::string document;
    std::uint64_t seq = 0;   ///< As far as the others have it.
    bool is_proven = false;  ///< By changes under our own seal; else a peer merely says so.
};

class DocumentCore;

/// What the documents of a peer share. Must outlive them.
struct CoreContext {
    Store& store;
    Clock& clock;
    const crdt::SigningKey& key;
    /// Goes on as a fresh actor: on return every document has it. Under no lock. An Error means
    /// that the store could not take a new incarnation.
    std::function<Result<void>(const Overtaken&)> on_overtaken;
    /// The document has changes to store: list it and wake the writer. Called under no lock.
    std::function<void(DocumentCore&)> on_pending;
    /// Runs a callback of the app's, in order.
    std::function<void(std::function<void()>)> run_callback;
    /// The document has changes that others may lack. Called under no lock.
    std::function<void(DocumentCore&)> on_unsent;
    /// Whether others are to learn of changes only once they are durable here.
    bool durable_first = false;
    PeerInstance run{};  ///< Of this peer.
    /// The document has transient writes that wait. Under its lock.
    std::function<void(DocumentCore&)> on_transient{};
    /// Runs a task of ours after a time. Under no lock; may be empty.
    std::function<void(MonotonicTime, std::function<void()>)> after{};
    /// Somebody's presence in the document of that id changed. Under no lock; may be empty.
    std::function<void(const std::string&)> on_presence{};
    /// Judges the changes of others where this device is the authority. Under a document's lock;
    /// may be empty.
    Judge judge{};
    /// Something that people should know. Under no lock; may be empty.
    std::function<void(const LogEntry&)> log{};
    std::atomic<std::uint64_t> refused_count{0};  ///< Changes of others, here.
};

}  // namespace joinery::detail
