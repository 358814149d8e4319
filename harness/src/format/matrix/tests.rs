use super::*;
use crate::format::tests::matrix_f32;

fn f32s(matrix: &Matrix) -> Vec<f32> {
    let RowsData::F32(values) = matrix.rows().data() else {
        panic!("made of f32")
    };
    values.to_vec()
}

#[test]
fn rows_and_columns_are_chosen_by_copying() {
    let given: [&[f32]; 3] = [&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0], &[7.0, 8.0, 9.0]];
    let (_folder, matrix) = matrix_f32(&given);
    let columns = matrix.with_columns(&[0, 2]).unwrap();
    assert_eq!((columns.n_rows(), columns.n_columns()), (3, 2));
    assert_eq!(f32s(&columns), [1.0, 3.0, 4.0, 6.0, 7.0, 9.0]);
    let rows = columns.with_rows(&[2, 0]).unwrap();
    assert_eq!((rows.n_rows(), f32s(&rows)), (2, vec![7.0, 9.0, 1.0, 3.0]));
}
