// What a CronJob takes for a schedule: the rule is held to it here, the API server in test/stack/workloads.test.ts.

export const schedules = [
    "* * * * *",
    "*/5 * * * *",
    "0,30 8-18/2 1 JAN-MAR mon-fri",
    "59 23 31 12 6",
    "0 0 ? * *",
    "5/10 * * * *",
    "1,,2, * * * *",
    "@hourly",
    "@every 1h30m",
];
export const noSchedules: [string, string][] = [
    ["", "it has 1 field, not 5"],
    ["* * * *", "it has 4 fields, not 5"],
    ["0 * * * * *", "it has 6 fields, not 5"],
    ["60 * * * *", 'its minute is from 0 to 59, not "60"'],
    ["* 24 * * *", 'its hour is from 0 to 23, not "24"'],
    ["* * 0 * *", 'its day of the month is from 1 to 31, not "0"'],
    ["* * * 13 *", 'its month is from 1 to 12, not "13"'],
    ["* * * * 7", 'its day of the week is from 0 to 6, not "7"'],
    ["*/0 * * * *", 'its minute is from 0 to 59, not "*/0"'],
    ["5-1 * * * *", 'its minute is from 0 to 59, not "5-1"'],
    ["* * * * someday", 'its day of the week is from 0 to 6, not "someday"'],
    ["0 0 L * *", 'its day of the month is from 1 to 31, not "L"'],
    ["0 0 * * 1#2", 'its day of the week is from 0 to 6, not "1#2"'],
    ["@often", "there are @hourly, @daily, @weekly, @monthly, @yearly and @every 1h30m"],
    ["TZ=UTC * * * * *", "the time zone has an argument of its own, timeZone"],
];
