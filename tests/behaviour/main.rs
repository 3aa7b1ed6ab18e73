//! What Sandman promises, one file a promise, shown with the real binary.

mod admin;
mod architecture;
mod attempts;
mod broker_outage;
mod chains;
mod compression;
mod configuration;
mod crash;
mod dead_letters;
mod deploy;
mod demo;
mod deployment;
mod drain;
mod exchange;
mod duplicates;
mod embedded;
mod exhausted;
mod fleet;
mod fleet_deploy;
mod fleet_failover;
mod fleet_frozen;
mod fleet_held;
mod fleet_move;
mod fleet_postgres;
mod fleet_taken_over;
mod fleet_watched;
mod going_back;
mod group;
mod guest_languages;
mod guest_words;
mod held;
mod held_requests;
mod isolation;
mod hostile;
mod http_clients;
mod http_metrics;
mod http_outage;
mod idempotency;
mod import;
mod invoke;
mod kafkajs;
mod lag;
mod letters_named;
mod membership;
mod mended;
mod moving_in;
mod newcomer;
mod one_host;
mod resources;
mod order;
mod parity;
mod partitions;
mod planted;
mod poison;
mod preferences_routes;
mod profile_routes;
mod provenance;
mod purity;
mod recreated;
mod redrive;
mod reload;
mod rights;
mod sections;
mod seeing;
mod senders;
mod shared_group;
mod slow_network;
mod swap;
mod time_travel;
mod tokens;
mod torn;
mod torture;
mod unended;
mod unreadable;
mod uploads;
mod uploads_bucket;
mod uploads_sweep;
mod values;
mod whole_way;

use std::process::ExitCode;

fn main() -> ExitCode {
    let fleets = [
        fleet::BEHAVIOURS,
        fleet_deploy::BEHAVIOURS,
        fleet_failover::BEHAVIOURS,
        fleet_frozen::BEHAVIOURS,
        fleet_held::BEHAVIOURS,
        fleet_move::BEHAVIOURS,
        fleet_postgres::BEHAVIOURS,
        fleet_taken_over::BEHAVIOURS,
        fleet_watched::BEHAVIOURS,
    ];
    let fleets = fleets.concat().into_iter();
    let fleets: Vec<_> = fleets
        .map(|fleet| fleet.with_its_own_store("a fleet has PostgreSQL as it is"))
        .collect();
    // The slow ones first: they end while the quick ones fill the gaps.
    let all = [
        &torture::behaviours(),
        planted::BEHAVIOURS,
        crash::BEHAVIOURS,
        slow_network::BEHAVIOURS,
        swap::BEHAVIOURS,
        deploy::BEHAVIOURS,
        exchange::BEHAVIOURS,
        going_back::BEHAVIOURS,
        reload::BEHAVIOURS,
        shared_group::BEHAVIOURS,
        rights::BEHAVIOURS,
        demo::BEHAVIOURS,
        broker_outage::BEHAVIOURS,
        http_outage::BEHAVIOURS,
        newcomer::BEHAVIOURS,
        mended::BEHAVIOURS,
        guest_languages::BEHAVIOURS,
        guest_words::BEHAVIOURS,
        torn::BEHAVIOURS,
        chains::BEHAVIOURS,
        duplicates::BEHAVIOURS,
        kafkajs::BEHAVIOURS,
        idempotency::BEHAVIOURS,
        sections::BEHAVIOURS,
        group::BEHAVIOURS,
        &fleets,
        lag::BEHAVIOURS,
        letters_named::BEHAVIOURS,
        membership::BEHAVIOURS,
        attempts::BEHAVIOURS,
        dead_letters::BEHAVIOURS,
        redrive::BEHAVIOURS,
        exhausted::BEHAVIOURS,
        one_host::BEHAVIOURS,
        unended::BEHAVIOURS,
        recreated::BEHAVIOURS,
        unreadable::BEHAVIOURS,
        drain::BEHAVIOURS,
        hostile::BEHAVIOURS,
        held::BEHAVIOURS,
        held_requests::BEHAVIOURS,
        isolation::BEHAVIOURS,
        order::BEHAVIOURS,
        partitions::BEHAVIOURS,
        poison::BEHAVIOURS,
        senders::BEHAVIOURS,
        compression::BEHAVIOURS,
        whole_way::BEHAVIOURS,
        provenance::BEHAVIOURS,
        time_travel::BEHAVIOURS,
        purity::BEHAVIOURS,
        parity::BEHAVIOURS,
        profile_routes::BEHAVIOURS,
        preferences_routes::BEHAVIOURS,
        values::BEHAVIOURS,
        tokens::BEHAVIOURS,
        uploads::BEHAVIOURS,
        uploads_bucket::BEHAVIOURS,
        uploads_sweep::BEHAVIOURS,
        http_clients::BEHAVIOURS,
        http_metrics::BEHAVIOURS,
        import::BEHAVIOURS,
        invoke::BEHAVIOURS,
        moving_in::BEHAVIOURS,
        resources::BEHAVIOURS,
        seeing::BEHAVIOURS,
        admin::BEHAVIOURS,
        embedded::BEHAVIOURS,
        configuration::BEHAVIOURS,
        deployment::BEHAVIOURS,
        architecture::BEHAVIOURS,
    ];
    sandman_tests::main(&all.concat())
}
