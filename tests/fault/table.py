"""The table of faults: what a pipeline is to outlive, with readings on their way."""

from tests.fault.batches import batches
from tests.fault.faults import Fault
from tests.fault.readings import half_poison
from tests.fault.to_brokers import (
    GONE_SECONDS,
    broker_frozen_for_15_seconds,
    broker_gone,
    broker_restarted,
    leaders_killed,
    offsets_expired,
    partitions_added,
)
from tests.fault.to_clusters import (
    cluster_of_two_with_one_killed,
    rebalanced_2_3_1,
    rescaled_1_2_1_3_2_1,
    rows_of_every_group,
)
from tests.fault.to_folders import (
    disk_full,
    folder_deleted_twice,
    folder_of_another_pipeline,
    folder_read_only,
    snapshots_cut_off,
)
from tests.fault.to_frames import (
    killed_with_several_readings_a_message,
    killed_within_windows,
    killed_within_windows_across_messages,
    of_full_frames,
    of_full_frames_across_messages,
)
from tests.fault.to_settings import half_of_it_poison, settings_changed
from tests.fault.to_workers import (
    another_process_of_the_same_name,
    another_process_on_the_same_partitions,
    asked_to_end_three_times,
    clock_set_a_day_forth_and_back,
    killed_five_times_at_a_checkpoint,
    killed_five_times_at_random,
    second_process_on_the_same_folder,
    stopped_for_20_seconds,
)

__all__ = ["FAULTS"]

FAULTS = [
    Fault(killed_five_times_at_random, seconds=15.0, kills=True, portions=True),
    Fault(
        killed_five_times_at_a_checkpoint,
        seconds=18.0,
        kills=True,
        portions=True,
        recovery=(("epoch_seconds", 0.5),),
    ),
    Fault(
        killed_with_several_readings_a_message,
        seconds=12.0,
        kills=True,
        portions=True,
        records=batches,
    ),
    Fault(killed_within_windows, seconds=12.0, kills=True, portions=True, records=of_full_frames),
    Fault(
        killed_within_windows_across_messages,
        seconds=12.0,
        kills=True,
        portions=True,
        records=of_full_frames_across_messages,
    ),
    Fault(asked_to_end_three_times, seconds=9.0, portions=True),
    Fault(stopped_for_20_seconds, seconds=10.0),
    Fault(clock_set_a_day_forth_and_back, portions=True),
    Fault(second_process_on_the_same_folder),
    Fault(another_process_of_the_same_name, portions=True, deliveries=("exactly-once",)),
    Fault(
        another_process_on_the_same_partitions,
        doubles=True,
        forgets=True,
        portions=True,
        deliveries=("at-least-once",),
    ),
    Fault(cluster_of_two_with_one_killed, seconds=9.0, kills=True, portions=True),
    Fault(
        rescaled_1_2_1_3_2_1,
        seconds=9.0,
        kills=True,
        portions=True,
        then=rows_of_every_group,
    ),
    Fault(
        rebalanced_2_3_1,
        seconds=9.0,
        kills=True,
        portions=True,
        kafka=(("delivery_seconds", 20.0),),
        then=rows_of_every_group,
    ),
    Fault(broker_restarted, seconds=9.0, alone=True, portions=True),
    Fault(broker_frozen_for_15_seconds, seconds=9.0, alone=True, portions=True),
    Fault(
        broker_gone,
        seconds=10.0,
        kills=True,
        alone=True,
        kafka=(("delivery_seconds", GONE_SECONDS),),
    ),
    Fault(leaders_killed, seconds=9.0, copied=True, portions=True),
    Fault(offsets_expired, portions=True),
    Fault(partitions_added, kafka=(("security.topic.metadata.refresh.interval.ms", 1000),)),
    Fault(folder_deleted_twice, seconds=9.0, kills=True, forgets=True, portions=True),
    Fault(snapshots_cut_off),
    Fault(folder_read_only),
    Fault(folder_of_another_pipeline),
    Fault(disk_full, kills=True, portions=True),
    Fault(settings_changed, portions=True),
    Fault(half_of_it_poison, records=half_poison),
]
