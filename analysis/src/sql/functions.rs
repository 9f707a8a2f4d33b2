//! What SQL has not, as functions of it: estimators of this room, and places of addresses.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, Int64Builder, ListArray, StringArray, StringBuilder,
    StructArray,
};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Fields, Int64Type};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use maxminddb::PathElement;

use crate::power_law::Frequencies;
use crate::stage::BadInput;
use crate::{Counts, Estimate, richness};

/// What is told of the addresses: MaxMind files that the user named.
pub(super) type Places = Arc<Vec<maxminddb::Reader<Vec<u8>>>>;

/// Opens these MaxMind files.
///
/// # Errors
///
/// [`BadInput`] for one that is none.
pub(super) fn open(paths: &[PathBuf]) -> anyhow::Result<Places> {
    let places = paths.iter().map(|path| {
        let open = maxminddb::Reader::open_readfile(path);
        open.map_err(|error| BadInput::at(path, None, &format!("no MaxMind file: {error}")))
    });
    Ok(Arc::new(places.collect::<Result<_, _>>()?))
}

/// All functions; those of addresses only if there are files that know them.
pub(super) fn all(places: &Places) -> Vec<ScalarUDF> {
    let mut kinds = vec![Kind::PowerLaw, Kind::Keys];
    if !places.is_empty() {
        kinds.extend([Kind::Country, Kind::Asn, Kind::AsName]);
    }
    let function = |kind| {
        ScalarUDF::from(Function {
            kind,
            signature: Signature::any(kind.arguments(), Volatility::Immutable),
            places: Arc::clone(places),
        })
    };
    kinds.into_iter().map(function).collect()
}

/// Which function.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Kind {
    /// `power_law(figures, how often each is there)`, two lists: a struct of exponent, low, high, from, tail, all, distance.
    PowerLaw,
    /// `keys_estimated(nodes, stored, keys, once, twice, pairs, in one half, in the other, in both)`: a list of estimates.
    Keys,
    /// `country(address)`: two letters.
    Country,
    /// `asn(address)`: the number of the autonomous system.
    Asn,
    /// `as_name(address)`: who runs it.
    AsName,
}

impl Kind {
    const fn arguments(self) -> usize {
        match self {
            Self::PowerLaw => 2,
            Self::Keys => 9,
            Self::Country | Self::Asn | Self::AsName => 1,
        }
    }
}

/// A function of SQL.
#[derive(Debug)]
struct Function {
    kind: Kind,
    signature: Signature,
    places: Places,
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && Arc::ptr_eq(&self.places, &other.places)
    }
}

impl Eq for Function {}

impl std::hash::Hash for Function {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.kind.hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        match self.kind {
            Kind::PowerLaw => "power_law",
            Kind::Keys => "keys_estimated",
            Kind::Country => "country",
            Kind::Asn => "asn",
            Kind::AsName => "as_name",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.kind {
            Kind::PowerLaw => DataType::Struct(law_fields()),
            Kind::Keys => DataType::List(Arc::new(Field::new("item", DataType::Struct(estimate_fields()), true))),
            Kind::Country | Kind::AsName => DataType::Utf8,
            Kind::Asn => DataType::Int64,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let result = match (self.kind, arrays.as_slice()) {
            (Kind::PowerLaw, [figures, times]) => power_law(figures, times)?,
            (Kind::Keys, columns) => keys(columns)?,
            (kind, [address]) => self.place(kind, address)?,
            _ => {
                return Err(DataFusionError::Execution(format!(
                    "{} has other arguments",
                    self.name()
                )));
            }
        };
        Ok(ColumnarValue::Array(result))
    }
}

fn fields(names: &[(&str, DataType)]) -> Fields {
    names
        .iter()
        .map(|(name, kind)| Field::new(*name, kind.clone(), true))
        .collect()
}

fn law_fields() -> Fields {
    let (real, whole) = (DataType::Float64, DataType::Int64);
    fields(&[
        ("exponent", real.clone()),
        ("low", real.clone()),
        ("high", real.clone()),
        ("from", whole.clone()),
        ("tail", whole.clone()),
        ("all", whole),
        ("distance", real),
    ])
}

fn estimate_fields() -> Fields {
    let (real, text) = (DataType::Float64, DataType::Utf8);
    fields(&[
        ("method", text.clone()),
        ("value", real.clone()),
        ("low", real.clone()),
        ("high", real),
        ("counts", text.clone()),
        ("assumes", text),
    ])
}

/// A count that an i64 holds.
fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn power_law(figures: &ArrayRef, times: &ArrayRef) -> Result<ArrayRef> {
    let list = DataType::List(Arc::new(Field::new("item", DataType::Int64, true)));
    let (figures, times) = (cast(figures, &list)?, cast(times, &list)?);
    let lists = figures.as_list::<i32>().iter().zip(times.as_list::<i32>().iter());
    let fits: Vec<_> = lists
        .map(|(figures, times)| {
            let (figures, times) = (figures?, times?);
            let pairs = figures
                .as_primitive::<Int64Type>()
                .iter()
                .zip(times.as_primitive::<Int64Type>());
            let pairs = pairs.filter_map(|(x, n)| Some((u64::try_from(x?).ok()?, u64::try_from(n?).ok()?)));
            Frequencies::new(pairs).fit()
        })
        .collect();
    let real = |of: fn(&crate::power_law::Fit) -> f64| -> ArrayRef {
        Arc::new(Float64Array::from_iter(fits.iter().map(|fit| fit.as_ref().map(of))))
    };
    let whole = |of: fn(&crate::power_law::Fit) -> u64| -> ArrayRef {
        Arc::new(Int64Array::from_iter(
            fits.iter().map(|fit| fit.as_ref().map(|fit| signed(of(fit)))),
        ))
    };
    let columns = vec![
        real(|fit| fit.exponent.value),
        real(|fit| fit.exponent.low),
        real(|fit| fit.exponent.high),
        whole(|fit| fit.from),
        whole(|fit| fit.tail),
        whole(|fit| fit.all),
        real(|fit| fit.distance),
    ];
    Ok(Arc::new(StructArray::try_new(law_fields(), columns, None)?))
}

fn keys(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let columns = columns
        .iter()
        .map(|column| cast(column, &DataType::Int64))
        .collect::<Result<Vec<_>, _>>()?;
    let rows = columns.first().map_or(0, |column| column.len());
    let (mut all, mut ends) = (Vec::new(), vec![0_i32]);
    for row in 0..rows {
        let mut given = columns.iter().map(|column| {
            let column = column.as_primitive::<Int64Type>();
            if column.is_valid(row) {
                u64::try_from(column.value(row)).unwrap_or(0)
            } else {
                0
            }
        });
        let mut next = || given.next().unwrap_or(0);
        let counts = Counts {
            one_in: 1,
            nodes: next(),
            stored: next(),
            distinct: next(),
            once: next(),
            twice: next(),
            pairs: next(),
            halves: [next(), next()],
            both: next(),
            ..Counts::default()
        };
        // Which share of all nodes was read, a table cannot know: the textbook forms (chance 0).
        let keys = richness::chao2(&counts, 0.0);
        let share = keys.map(|keys| richness::share_seen(&counts, &keys));
        let estimates = [
            keys,
            richness::chapman(&counts, 0.0),
            share,
            richness::coverage(&counts),
        ];
        all.extend(estimates.into_iter().flatten());
        ends.push(i32::try_from(all.len()).unwrap_or(i32::MAX));
    }
    let text =
        |of: fn(&Estimate) -> &'static str| -> ArrayRef { Arc::new(StringArray::from_iter_values(all.iter().map(of))) };
    let real = |of: fn(&Estimate) -> f64| -> ArrayRef { Arc::new(Float64Array::from_iter_values(all.iter().map(of))) };
    let columns = vec![
        text(|estimate| estimate.method.name),
        real(|estimate| estimate.value),
        real(|estimate| estimate.low),
        real(|estimate| estimate.high),
        text(|estimate| estimate.method.counts),
        text(|estimate| estimate.method.assumes),
    ];
    let items = StructArray::try_new(estimate_fields(), columns, None)?;
    let item = Arc::new(Field::new("item", DataType::Struct(estimate_fields()), true));
    Ok(Arc::new(ListArray::try_new(
        item,
        OffsetBuffer::new(ends.into()),
        Arc::new(items),
        None,
    )?))
}

impl Function {
    fn place(&self, kind: Kind, addresses: &ArrayRef) -> Result<ArrayRef> {
        let addresses = cast(addresses, &DataType::Utf8)?;
        let addresses = addresses
            .as_string::<i32>()
            .iter()
            .map(|text| text.and_then(|text| text.parse::<IpAddr>().ok()));
        let word = |path: &'static [&'static str]| move |address: IpAddr| self.look_up::<String>(address, path);
        Ok(match kind {
            Kind::Asn => {
                let mut column = Int64Builder::new();
                for address in addresses {
                    let number =
                        address.and_then(|address| self.look_up::<u32>(address, &["autonomous_system_number"]));
                    column.append_option(number.map(i64::from));
                }
                Arc::new(column.finish())
            }
            Kind::AsName => texts(addresses, word(&["autonomous_system_organization"])),
            _ => texts(addresses, word(&["country", "iso_code"])),
        })
    }

    /// What the first file that knows the address says.
    fn look_up<T: serde::de::DeserializeOwned>(&self, address: IpAddr, path: &[&str]) -> Option<T> {
        let path: Vec<PathElement<'_>> = path.iter().map(|key| PathElement::Key(key)).collect();
        self.places
            .iter()
            .find_map(|file| file.lookup(address).ok()?.decode_path(&path).ok()?)
    }
}

fn texts(addresses: impl Iterator<Item = Option<IpAddr>>, word: impl Fn(IpAddr) -> Option<String>) -> ArrayRef {
    let mut column = StringBuilder::new();
    for address in addresses {
        column.append_option(address.and_then(&word));
    }
    Arc::new(column.finish())
}
